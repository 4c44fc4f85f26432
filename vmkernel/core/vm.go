package core

import (
	"keel/arch/amd64"
	"keel/vmkernel/device/i8254"
	"keel/vmkernel/device/i8259"
	"keel/vmkernel/device/ioapic"
	"keel/vmkernel/linux"
	policy "keel/vmkernel/sched"
	"keel/vmkernel/sys"
)

// A machine is what the lower half keeps of a virtual machine: its memory, and the devices that a
// running guest touches all the time. It lies in page frames of its own.
type machine struct {
	lock  spinlock // pic, ioapic, pit
	id    uint32
	nvcpu uint32
	group policy.ID // of its virtual processors' worlds

	memory    uint64 // bytes
	low, high uint64 // of memory: below the device hole, and from 4 GiB on
	piece     uint64 // physical address of a GiB that is being zeroed, 0: none
	pieceGPA  uint64
	pieceDone uint64

	pages    spinlock // what of the memory is mapped
	resident uint64   // bytes of the memory that are there
	large    uint64   // of these, in pages of 2 MiB or more
	reserved uint64   // frames that are to be there or set aside at least
	sampled  uint64   // where vmSample goes on
	holes    uint32   // atomic: 0 while all of the memory is there

	root                  uint64 // of the nested page table, physical
	windowLow, windowHigh uintptr
	tscStart              uint64 // host TSC at which the guest's is 0
	startNS               uint64
	kvmclock              bool
	running               bool // its boot processor has been entered since the last reset
	lowestPriority        uint8

	pic    i8259.Pair
	ioapic ioapic.IOAPIC
	pit    i8254.PIT

	vcpus [sys.MaxVCPUs]uintptr

	// first is the index of a leaf's first entry, noEntry for none, for leaves 0 to 1FH of each of the
	// ranges, which bits 31:30 tell apart: basic leaves, the hypervisor's, extended ones, and none.
	first [4][32]uint8
	cpuid [sys.MaxCPUIDEntries]sys.CPUIDEntry
}

const (
	maxMachines  = 256
	machinePages = 2
	holeStart    = 3 << 30
	highStart    = 4 << 30
	backStep     = 16 << 20 // bytes zeroed in one call
	gib          = 1 << 30
)

var (
	machines     [maxMachines]uintptr
	machinesLock spinlock
)

func machineOf(handle uint64) *machine {
	if handle >= maxMachines || machines[handle] == 0 {
		return nil
	}
	return at[machine](machines[handle])
}

// vcpuOf finds a virtual processor by the handle of its VM and its index.
func vcpuOf(handle, i uint64) *vcpu {
	m := machineOf(handle)
	if m == nil || i >= uint64(m.nvcpu) {
		return nil
	}
	return at[vcpu](m.vcpus[i])
}

// vmCreate makes a machine with its virtual processors, and without memory.
func vmCreate(p uintptr) int64 {
	if virtKind == sys.VirtNone {
		return -int64(linux.ENODEV)
	}
	if !ensure(p, vmConfigSize, false) {
		return -int64(linux.EFAULT)
	}
	cfg := at[sys.VMConfig](p)
	size, n, ncpuid, overhead, share := cfg.Memory, cfg.VCPUs, cfg.NCPUID, cfg.Overhead/amd64.PageSize, cfg.CPU
	if size == 0 || size%amd64.PageSize != 0 || size > 1<<40 || n == 0 || n > sys.MaxVCPUs || ncpuid > sys.MaxCPUIDEntries ||
		cfg.Overhead > size+1<<30 || cfg.Node >= uint64(numNodes) {
		return -int64(linux.EINVAL)
	}
	machinesLock.lock()
	id := uint32(0)
	for id < maxMachines && machines[id] != 0 {
		id++
	}
	if id == maxMachines {
		machinesLock.unlock()
		return -int64(linux.EAGAIN)
	}
	frameOwners[memoryOf(id)].home, frameOwners[overheadOf(id)].home = uint8(cfg.Node), uint8(cfg.Node)
	pa := uint64(0)
	if overheadOf(id).setAside(overhead, spareFrames) {
		if pa = allocPages(machinePages, overheadOf(id)); pa == 0 {
			overheadOf(id).letGo(overhead)
		}
	}
	if pa == 0 {
		machinesLock.unlock()
		return -int64(linux.ENOMEM)
	}
	m := phys[machine](pa)
	machines[id] = addrOf(m)
	machinesLock.unlock()

	m.id, m.nvcpu = id, uint32(n)
	m.memory, m.holes = size, 1
	m.low = min(size, holeStart)
	m.high = size - m.low
	m.kvmclock = cfg.KVMClock != 0
	m.setCPUID(cfg, int(ncpuid))
	to := affinityOf(&share)
	m.root = allocFrame(overheadOf(id))
	ok := m.root != 0
	bad := ok && !(to.valid() && m.join(&share))
	ok = ok && !bad && m.reserveWindows()
	for i := uint32(0); ok && i < m.nvcpu; i++ {
		ok = m.newVCPU(i)
	}
	if bad {
		m.destroy()
		return -int64(linux.EINVAL)
	}
	if !ok {
		m.destroy()
		return -int64(linux.ENOMEM)
	}
	if !m.settleDown(to) {
		m.destroy()
		return -int64(linux.EBUSY)
	}
	m.reset()
	return int64(id)
}

// setCPUID copies the model's table, whose entries for one leaf follow each other.
func (m *machine) setCPUID(cfg *sys.VMConfig, n int) {
	for r := range m.first {
		for i := range m.first[r] {
			m.first[r][i] = noEntry
		}
	}
	for i := range m.cpuid {
		m.cpuid[i].Leaf = noLeaf
	}
	for i := n - 1; i >= 0; i-- {
		m.cpuid[i] = cfg.CPUID[i]
		if leaf := m.cpuid[i].Leaf; leaf>>30 != 3 && leaf&^0xC000_001F == 0 {
			m.first[leaf>>30][leaf&31] = uint8(i)
		}
	}
}

const (
	noEntry = 0xFF
	noLeaf  = 0xFFFF_FFFF
)

// guestMemory is how much memory all machines have, in bytes.
func guestMemory() uint64 {
	sum := uint64(0)
	machinesLock.lock()
	for _, addr := range machines {
		if addr != 0 {
			m := at[machine](addr)
			sum += m.resident
			if m.piece != 0 {
				sum += gib
			}
		}
	}
	machinesLock.unlock()
	return sum
}

// mapNested maps a piece in the nested page table.
func (m *machine) mapNested(gpa, pa, size uint64) bool {
	level := 1
	switch size {
	case gib:
		level = 3
	case amd64.HugeSize:
		level = 2
	}
	table := m.root
	for l := 4; l > level; l-- {
		e := &phys[page](table)[gpa>>(12+9*uint(l-1))&511]
		if *e == 0 {
			t := allocFrame(overheadOf(m.id))
			if t == 0 {
				return false
			}
			*e = nestedEntry(t, 0)
		}
		table = *e & amd64.PTE_ADDR
	}
	phys[page](table)[gpa>>(12+9*uint(level-1))&511] = nestedEntry(pa, level)
	return true
}

// freeNested gives back the memory and tables under a table of the nested page table.
func (m *machine) freeNested(table uint64, level int) {
	for i := 0; i < 512; i++ {
		e := phys[page](table)[i]
		if e == 0 {
			continue
		}
		pa := e & amd64.PTE_ADDR
		switch large := e&amd64.PTE_PS != 0; {
		case level > 1 && !large:
			m.freeNested(pa, level-1)
		case level == 1:
			freeFrame(pa, memoryOf(m.id))
		default:
			m.freeLarge(pa, pieceSize(level))
		}
	}
	freeFrame(table, overheadOf(m.id))
}

// freeLarge gives back memory in whole blocks.
func (m *machine) freeLarge(pa, n uint64) {
	for k := uint64(0); k < n; k += amd64.HugeSize {
		freeBlock(pa+k, memoryOf(m.id))
	}
}

// destroy gives back everything. No virtual processor of it runs.
func (m *machine) destroy() {
	id := m.id
	for _, v := range m.vcpus {
		if v != 0 {
			at[vcpu](v).retire()
		}
	}
	if m.group != policy.None {
		sched.lock()
		m.dropAffinity(nanotime())
		sched.Destroy(m.group, nanotime())
		m.group = policy.None
		sched.unlock()
	}
	hideWindow(m.windowLow, m.low)
	hideWindow(m.windowHigh, m.high)
	flushAll()
	for i, v := range m.vcpus {
		if v != 0 {
			at[vcpu](v).free()
			m.vcpus[i] = 0
		}
	}
	dropWindow(m.windowLow, m.low, overheadOf(id))
	dropWindow(m.windowHigh, m.high, overheadOf(id))
	if m.piece != 0 {
		m.freeLarge(m.piece, gib)
	}
	if m.root != 0 {
		m.freeNested(m.root, 4)
	}
	memoryOf(id).letGo(never)
	pa := uint64(addrOf(m)) - amd64.DirectMap
	machinesLock.lock()
	machines[id] = 0
	for i := uint64(0); i < machinePages; i++ {
		freeFrame(pa+i*amd64.PageSize, overheadOf(id))
	}
	overheadOf(id).letGo(never)
	// Under the lock: from the unlock on the next machine has the number, and frames.
	if n, _ := memoryOf(id).holds(); n != 0 {
		fatal("a virtual machine is gone and has page frames", n)
	}
	if n, _ := overheadOf(id).holds(); n != 0 {
		fatal("a virtual machine is gone and has page frames for tables", n)
	}
	machinesLock.unlock()
}

// reset puts devices and virtual processors into the state after power-on.
func (m *machine) reset() {
	m.lock.lock()
	m.pic.Reset()
	m.ioapic.Reset(uint8(m.nvcpu))
	m.pit.Reset()
	m.tscStart = amd64.RDTSC()
	m.startNS = tscToNS(m.tscStart)
	m.running = false
	m.lock.unlock()
	for i := uint32(0); i < m.nvcpu; i++ {
		at[vcpu](m.vcpus[i]).reset()
	}
}

// startClock makes the guest's time-stamp counter and clock begin now, at its first entry: what
// came before was loading its memory. The other virtual processors still wait to be started.
func (m *machine) startClock() {
	m.running = true
	m.tscStart = amd64.RDTSC()
	m.startNS = tscToNS(m.tscStart)
	for i := uint32(0); i < m.nvcpu; i++ {
		at[vcpu](m.vcpus[i]).tscOffset = -m.tscStart
	}
}

// idle says whether none of the machine's virtual processors is in vmrun.
func (m *machine) idle() bool {
	sched.lock()
	idle := true
	for i := uint32(0); i < m.nvcpu; i++ {
		w := worldAt(at[vcpu](m.vcpus[i]).world)
		idle = idle && w.state == stateBlocked && w.wait == waitVCPU
	}
	sched.unlock()
	return idle
}

// callVM answers the calls for virtual machines.
func callVM(n, a0, a1, a2, a3 uint64) int64 {
	switch n {
	case sys.NumVMCreate:
		return vmCreate(uintptr(a0))
	case sys.NumNodes:
		return callNodes(uintptr(a0))
	case sys.NumHostCPUID:
		if !ensure(uintptr(a2), 16, true) {
			return -int64(linux.EFAULT)
		}
		r := at[[4]uint32](uintptr(a2))
		r[0], r[1], r[2], r[3] = amd64.CPUID(uint32(a0), uint32(a1))
		return 0
	case sys.NumVMMMIO:
		v := vcpuOf(a0>>8, a0&0xFF)
		if v == nil {
			return -int64(linux.EINVAL)
		}
		return v.mmio(a1, a2 != 0, uint32(a3))
	}
	m := machineOf(a0)
	if m == nil {
		return -int64(linux.EINVAL)
	}
	switch n {
	case sys.NumVMMemory:
		if !ensure(uintptr(a1), 32, true) {
			return -int64(linux.EFAULT)
		}
		w := at[[4]uint64](uintptr(a1))
		w[0], w[1] = uint64(m.windowLow), m.low
		w[2], w[3] = uint64(m.windowHigh), m.high
		return 0
	case sys.NumVMDestroy, sys.NumVMReset:
		if !m.idle() {
			return -int64(linux.EBUSY)
		}
		if n == sys.NumVMReset {
			m.reset()
		} else {
			m.destroy()
		}
		return 0
	case sys.NumVMRelease:
		return m.vmRelease(uintptr(a1), a2)
	case sys.NumVMPopulate:
		return m.populate(a1, a2 != 0)
	case sys.NumVMBack:
		return m.back(a1)
	case sys.NumVMGrant:
		return m.grant(int64(a1))
	case sys.NumVMReserve:
		return m.reserve(a1)
	case sys.NumVMSample:
		return m.sample(uintptr(a1))
	case sys.NumVMMemoryUse:
		return m.memoryUse(uintptr(a1))
	case sys.NumVMLine:
		m.setLine(uint8(a1), a2 != 0)
		return 0
	case sys.NumVMNMI:
		m.pulseNMI()
		return 0
	case sys.NumVMPort:
		r, ok := m.port(uint16(a1), uint8(a1>>16), a2 == 0, uint32(a3))
		if !ok {
			r = ^uint32(0)
		}
		return int64(r)
	case sys.NumVMKick, sys.NumVCPUPage:
		if a1 >= uint64(m.nvcpu) {
			return -int64(linux.EINVAL)
		}
		v := at[vcpu](m.vcpus[a1])
		if n == sys.NumVCPUPage {
			return int64(v.upperPage)
		}
		v.requestExit()
		return 0
	}
	return -int64(linux.ENOSYS)
}
