package core

import (
	"unsafe"

	"keel/arch/amd64"
	"keel/vmkernel/linux"
	"keel/vmkernel/sys"
)

// call answers the upper half's own calls.
func (c *cpu) call(w *world, n, a0, a1, a2, a3 uint64) int64 {
	switch n {
	case sys.NumInfo:
		return callInfo(uintptr(a0))
	case sys.NumStats:
		return callStats(uintptr(a0))
	case sys.NumPower:
		if a0 == 0 {
			powerOff()
		}
		reset()
	case sys.NumModule:
		return callModule(a0, uintptr(a1))
	case sys.NumPage:
		return callPage(uintptr(a0))
	case sys.NumCrash:
		return callCrash(uintptr(a0))
	case sys.NumPolicy:
		restartOnPanic = a0 == 1
		return 0
	}
	if n >= sys.NumPCIRead && n <= sys.NumSetClock {
		return callDevice(n, a0, a1, a2, a3)
	}
	if n >= sys.NumPoolCreate && n <= sys.NumCheckWorlds {
		return callPolicy(n, a0, a1, a3)
	}
	return callVM(n, a0, a1, a2, a3)
}

func callInfo(p uintptr) int64 {
	if !ensure(p, unsafe.Sizeof(sys.Info{}), true) {
		return -int64(linux.EFAULT)
	}
	i := at[sys.Info](p)
	i.CPUs = uint64(nCPUs)
	i.Memory = frames.total * amd64.PageSize
	i.TSCHz, i.BootTicks = tscHz, tscBase
	i.Modules = uint64(boot.NumModules)
	i.Virt = uint64(virtKind)
	i.WallNS = wallOffset
	i.Maker, i.Product, i.Serial = firmware.Maker, firmware.Product, firmware.Serial
	putString(i.TSCSource[:], tscSource)
	putString(i.NoVirt[:], noVirt)
	n := min(int(boot.CommandLineLength), len(i.CommandLine)-1)
	for k := 0; k < n; k++ {
		i.CommandLine[k] = boot.CommandLine[k]
	}
	i.CommandLine[n] = 0
	return 0
}

func putString(to []byte, s string) {
	n := min(len(s), len(to)-1)
	for i := 0; i < n; i++ {
		to[i] = s[i]
	}
	to[n] = 0
}

func callStats(p uintptr) int64 {
	if !ensure(p, unsafe.Sizeof(sys.Stats{}), true) {
		return -int64(linux.EFAULT)
	}
	s := at[sys.Stats](p)
	*s = sys.Stats{
		UsedMemory:  usedMemory(),
		FreeMemory:  (frames.freeCount - frames.promised) * amd64.PageSize,
		UpperMapped: space.mapped * amd64.PageSize,
		UpperBacked: space.backed * amd64.PageSize,
		UpperLimit:  space.limit * amd64.PageSize,
	}
	for i := 0; i < nCPUs; i++ {
		k := &cpus[i].counter
		s.Syscalls += k.syscalls
		s.Interrupts += k.interrupts
		s.Faults += k.faults
		s.Switches += k.switches
		s.IPIs += k.ipis
		s.Decisions += k.decisions
		s.DecisionTicks += k.decisionTicks
		s.SwitchTicks += k.switchTicks
	}
	sched.lock()
	for id := uint32(1); id <= nWorlds; id++ {
		if worldAt(id).state != stateFree {
			s.Worlds++
		}
	}
	sched.unlock()
	return 0
}

// callModule maps a boot module for reading.
func callModule(i uint64, p uintptr) int64 {
	if i >= uint64(boot.NumModules) {
		return -int64(linux.ENOENT)
	}
	if !ensure(p, unsafe.Sizeof(sys.Module{}), true) {
		return -int64(linux.EFAULT)
	}
	m := &boot.Modules[i]
	start := m.Start &^ (amd64.PageSize - 1)
	va := uintptr(0)
	if m.End > m.Start {
		if va = mapFixedRegion(start, roundUp64(m.End)-start, 0); va == 0 {
			return -int64(linux.ENOMEM)
		}
	}
	o := at[sys.Module](p)
	o.Addr, o.Size = uint64(va)+m.Start-start, m.End-m.Start
	n := min(int(m.TextLength), len(o.Name)-1)
	for k := 0; k < n; k++ {
		o.Name[k] = boot.ModuleText[int(m.TextOffset)+k]
	}
	o.Name[n] = 0
	return 0
}
