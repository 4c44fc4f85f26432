package vm

import (
	"keel/arch/amd64/virt"
	"keel/vmkernel/linux"
	"keel/vmkernel/sys"
)

// A Backend makes machines and runs their virtual processors. Kernel is the real one; the methods
// are those of package sys, which says what they do.
type Backend interface {
	Create(c *sys.VMConfig) (sys.VMHandle, error)
	Grow(h sys.VMHandle) (uint64, error)
	Memory(h sys.VMHandle) (low, high []byte, err error)
	Page(h sys.VMHandle, cpu int) (*sys.VCPUPage, error)
	Destroy(h sys.VMHandle) error
	Release(h sys.VMHandle, gpa, n uint64) (uint64, error)
	Populate(h sys.VMHandle, gpa uint64) error
	Resident(h sys.VMHandle) (uint64, error)

	Run(h sys.VMHandle, cpu int, flags uint64, event virt.Event, block bool) linux.Errno
	RunBriefly(h sys.VMHandle, cpu int, flags uint64, event virt.Event) int64
	Kick(h sys.VMHandle, cpu int) error
	NMI(h sys.VMHandle) error
	Line(h sys.VMHandle, gsi uint8, level bool)
	ReadRegister(h sys.VMHandle, cpu int, gpa uint64) uint32
	WriteRegister(h sys.VMHandle, cpu int, gpa uint64, v uint32)
	ReadPort(h sys.VMHandle, port uint16, size int) uint32
	WritePort(h sys.VMHandle, port uint16, size int, v uint32)

	// FreeMemory is how much memory a new VM could have, in bytes.
	FreeMemory() uint64

	// UsedMemory is how much memory the host takes for itself, in bytes: neither free, nor a VM's own,
	// nor a boot module's.
	UsedMemory() uint64
}

// Kernel is the lower half as a Backend.
type Kernel struct{}

var _ Backend = Kernel{}

func (Kernel) Create(c *sys.VMConfig) (sys.VMHandle, error)        { return sys.VMCreate(c) }
func (Kernel) Grow(h sys.VMHandle) (uint64, error)                 { return sys.VMGrow(h) }
func (Kernel) Memory(h sys.VMHandle) (low, high []byte, err error) { return sys.VMMemory(h) }
func (Kernel) Page(h sys.VMHandle, cpu int) (*sys.VCPUPage, error) { return sys.VCPUPageOf(h, cpu) }
func (Kernel) Destroy(h sys.VMHandle) error                        { return sys.VMDestroy(h) }
func (Kernel) Release(h sys.VMHandle, gpa, n uint64) (uint64, error) {
	return sys.VMRelease(h, gpa, n)
}
func (Kernel) Resident(h sys.VMHandle) (uint64, error)    { return sys.VMResident(h) }
func (Kernel) Populate(h sys.VMHandle, gpa uint64) error  { return sys.VMPopulate(h, gpa) }
func (Kernel) Kick(h sys.VMHandle, cpu int) error         { return sys.VCPUKick(h, cpu) }
func (Kernel) NMI(h sys.VMHandle) error                   { return sys.VMNMI(h) }
func (Kernel) Line(h sys.VMHandle, gsi uint8, level bool) { sys.VMLine(h, gsi, level) }
func (Kernel) ReadRegister(h sys.VMHandle, c int, gpa uint64) uint32 {
	return sys.VMMMIORead(h, c, gpa)
}

func (Kernel) Run(h sys.VMHandle, cpu int, flags uint64, event virt.Event, block bool) linux.Errno {
	return sys.VCPURun(h, cpu, flags, event, block)
}

func (Kernel) RunBriefly(h sys.VMHandle, cpu int, flags uint64, event virt.Event) int64 {
	return sys.VCPURunBriefly(h, cpu, flags, event)
}

func (Kernel) WriteRegister(h sys.VMHandle, cpu int, gpa uint64, v uint32) {
	sys.VMMMIOWrite(h, cpu, gpa, v)
}

func (Kernel) ReadPort(h sys.VMHandle, port uint16, size int) uint32 {
	return sys.VMPortRead(h, port, size)
}

func (Kernel) WritePort(h sys.VMHandle, port uint16, size int, v uint32) {
	sys.VMPortWrite(h, port, size, v)
}

func (Kernel) FreeMemory() uint64 { return stats().FreeMemory }
func (Kernel) UsedMemory() uint64 { return stats().UsedMemory }

func stats() (s sys.Stats) {
	if sys.GetStats(&s) != nil {
		return sys.Stats{}
	}
	return s
}
