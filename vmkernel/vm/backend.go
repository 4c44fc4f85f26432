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
	Memory(h sys.VMHandle) (low, high []byte, err error)
	Page(h sys.VMHandle, cpu int) (*sys.VCPUPage, error)
	Destroy(h sys.VMHandle) error
	Release(h sys.VMHandle, ranges []sys.Range) (uint64, error)
	Populate(h sys.VMHandle, gpa uint64, whole bool) error
	Back(h sys.VMHandle, gpa uint64) (again bool, err error)
	Grant(h sys.VMHandle, bytes int64) (held uint64, err error)
	Reserve(h sys.VMHandle, bytes uint64) error
	Sample(h sys.VMHandle) (seen, touched uint64, last bool, err error)
	MemoryUse(h sys.VMHandle) (sys.MemoryUse, error)
	CreatePool(p *sys.CPUPolicy) (sys.Pool, error)
	SetPool(id sys.Pool, p *sys.CPUPolicy) error
	PoolStats(id sys.Pool, s *sys.PoolStats) error
	SetCPU(h sys.VMHandle, p *sys.CPUPolicy) error
	VCPUStats(h sys.VMHandle, cpu int, s *sys.WorldStats) error

	Run(h sys.VMHandle, cpu int, flags uint64, event virt.Event, block bool) linux.Errno
	RunBriefly(h sys.VMHandle, cpu int, flags uint64, event virt.Event) int64
	Pause(h sys.VMHandle, on bool) error
	Kick(h sys.VMHandle, cpu int) error
	NMI(h sys.VMHandle) error
	Line(h sys.VMHandle, gsi uint8, level bool)
	ReadRegister(h sys.VMHandle, cpu int, gpa uint64) uint32
	WriteRegister(h sys.VMHandle, cpu int, gpa uint64, v uint32)
	ReadPort(h sys.VMHandle, port uint16, size int) uint32
	WritePort(h sys.VMHandle, port uint16, size int, v uint32)

	// Processors is how many logical processors the host has.
	Processors() int

	// FreeMemory is how much memory is free and not set aside for anybody, in bytes.
	FreeMemory() uint64

	// UsedMemory is how much memory the host takes for itself, in bytes: neither free, nor a VM's own,
	// nor a boot module's.
	UsedMemory() uint64

	// Nodes is the host's memory by NUMA node.
	Nodes() *sys.Nodes
}

// Kernel is the lower half as a Backend.
type Kernel struct{}

var _ Backend = Kernel{}

func (Kernel) Create(c *sys.VMConfig) (sys.VMHandle, error)        { return sys.VMCreate(c) }
func (Kernel) Memory(h sys.VMHandle) (low, high []byte, err error) { return sys.VMMemory(h) }
func (Kernel) Page(h sys.VMHandle, cpu int) (*sys.VCPUPage, error) { return sys.VCPUPageOf(h, cpu) }
func (Kernel) Destroy(h sys.VMHandle) error                        { return sys.VMDestroy(h) }
func (Kernel) Release(h sys.VMHandle, ranges []sys.Range) (uint64, error) {
	return sys.VMRelease(h, ranges)
}
func (Kernel) Back(h sys.VMHandle, gpa uint64) (again bool, err error) { return sys.VMBack(h, gpa) }
func (Kernel) Grant(h sys.VMHandle, bytes int64) (uint64, error)       { return sys.VMGrant(h, bytes) }
func (Kernel) Reserve(h sys.VMHandle, bytes uint64) error              { return sys.VMReserve(h, bytes) }
func (Kernel) CreatePool(p *sys.CPUPolicy) (sys.Pool, error)           { return sys.PoolCreate(p) }
func (Kernel) SetPool(id sys.Pool, p *sys.CPUPolicy) error             { return sys.PoolSet(id, p) }
func (Kernel) PoolStats(id sys.Pool, s *sys.PoolStats) error           { return sys.GetPoolStats(id, s) }
func (Kernel) SetCPU(h sys.VMHandle, p *sys.CPUPolicy) error           { return sys.VMSetCPU(h, p) }
func (Kernel) VCPUStats(h sys.VMHandle, i int, s *sys.WorldStats) error {
	return sys.GetVCPUStats(h, i, s)
}

func (Kernel) Processors() int {
	var info sys.Info
	if sys.GetInfo(&info) != nil {
		return 1
	}
	return int(info.CPUs)
}

func (Kernel) MemoryUse(h sys.VMHandle) (sys.MemoryUse, error) { return sys.VMMemoryUse(h) }
func (Kernel) Sample(h sys.VMHandle) (seen, touched uint64, last bool, err error) {
	return sys.VMSample(h)
}
func (Kernel) Populate(h sys.VMHandle, gpa uint64, whole bool) error {
	return sys.VMPopulate(h, gpa, whole)
}
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

func (Kernel) Pause(h sys.VMHandle, on bool) error {
	if on {
		return sys.VMPause(h)
	}
	return sys.VMResume(h)
}

func (Kernel) FreeMemory() uint64 { return stats().FreeMemory }
func (Kernel) UsedMemory() uint64 { return stats().UsedMemory }

func (Kernel) Nodes() *sys.Nodes {
	n := &sys.Nodes{}
	if sys.GetNodes(n) != nil {
		return &sys.Nodes{}
	}
	return n
}

func stats() (s sys.Stats) {
	if sys.GetStats(&s) != nil {
		return sys.Stats{}
	}
	return s
}
