package core

import (
	"unsafe"

	"keel/vmkernel/linux"
	"keel/vmkernel/sys"
)

// messageBase is where a device writes to interrupt a processor (SDM 3A 11.11.1).
const messageBase = 0xFEE0_0000

// callIRQAlloc gives the upper half an interrupt of its own: a message's where kind is 0, that of an
// IOAPIC's pin where it is 1.
func callIRQAlloc(kind, gsi uint64, p uintptr) int64 {
	switch {
	case kind == 0 && !ensure(p, unsafe.Sizeof(sys.Message{}), true):
		return -int64(linux.EFAULT)
	case kind > 1 || gsi >= 1<<32:
		return -int64(linux.EINVAL)
	case cpus[sys.HostCPU].apicID > 0xFF: // neither message nor pin can name it
		return -int64(linux.ENODEV)
	}
	low := true // PCI's own polarity, unless the firmware says otherwise of an ISA interrupt
	if kind == 1 && gsi < isaLines {
		to, isLow, level := tables.ISA(uint8(gsi))
		gsi, low = uint64(to), isLow || !level
	}
	sched.lock()
	irq := -int64(linux.ENOSPC)
	for i := isaLines; i < hostIRQs && irq < 0; i++ {
		if !hostLines[i].taken {
			irq = int64(i)
		}
	}
	switch {
	case irq < 0:
	case kind == 0:
		hostLines[irq].taken = true
		m := at[sys.Message](p)
		m.Address, m.Data = messageBase|uint64(cpus[sys.HostCPU].apicID)<<12, uint32(vecDevice+irq)
	case pinTaken(uint32(gsi)):
		irq = -int64(linux.EBUSY)
	case !hostLines[irq].wire(uint32(gsi), uint32(vecDevice+irq), low, true):
		irq = -int64(linux.ENODEV)
	}
	sched.unlock()
	return irq
}

// pinTaken says whether the upper half has that global system interrupt already. The lock is held.
func pinTaken(gsi uint32) bool {
	ioapic, pin, found := pinOf(gsi)
	if !found {
		return false
	}
	for i := range hostLines {
		if l := &hostLines[i]; l.taken && l.wired && l.ioapic == ioapic && l.pin == pin {
			return true
		}
	}
	return false
}

func callIRQWake(irq uint64) int64 {
	if irq >= hostIRQs || !hostLines[irq].taken {
		return -int64(linux.EINVAL)
	}
	sched.lock()
	hostLines[irq].arrived()
	sched.unlock()
	return 0
}
