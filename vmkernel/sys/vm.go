package sys

import (
	"unsafe"

	"keel/arch/amd64/virt"
	"keel/vmkernel/linux"
)

// Limits of a VM.
const (
	MaxVCPUs        = 8
	MaxCPUIDEntries = 64
)

// A CPUIDEntry is what a guest's CPUID returns for a leaf and, where Indexed, a subleaf. The lower
// half fills in what changes at run time: APIC IDs (leaves 1, 0BH, 1FH), OSXSAVE (1), the size of
// the enabled state (0DH).
type CPUIDEntry struct {
	Leaf, Subleaf      uint32
	Indexed            uint32 // 1: Subleaf counts
	EAX, EBX, ECX, EDX uint32
	_                  uint32
}

// VMConfig describes a VM to make.
type VMConfig struct {
	Memory   uint64    // bytes, a multiple of 4 KiB
	Overhead uint64    // bytes that are set aside for what it costs beyond
	Node     uint64    // the NUMA node that its memory comes from while there is any
	VCPUs    uint64    // 1 to MaxVCPUs
	KVMClock uint64    // 1: the kvmclock MSRs are there
	CPU      CPUPolicy // no shares: as many as 1,000 for each virtual processor
	NCPUID   uint64
	CPUID    [MaxCPUIDEntries]CPUIDEntry
}

// A VMHandle names a VM, a slot that is used again after Destroy.
type VMHandle uint32

// VCPUPage is the page that both halves share for a virtual processor. The upper half touches it
// only while the virtual processor isn't running.
type VCPUPage struct {
	State   virt.State
	Message [256]byte          // of a failed entry: the field and its rule, NUL-terminated
	Exits   [virt.Kinds]uint64 // exits by kind
	Ticks   uint64             // time-stamp counter ticks in guest mode
	Outside uint64             // ticks between an exit and the next entry, waiting excluded
	First   uint64             // host's time-stamp counter at the first entry
	Last    uint64             // host's time-stamp counter at the exit that VCPURun returned with

	Overdrawn uint32 // atomic: the VM got memory that wasn't set aside for it, since a device model touched it
}

// What VCPURun does first.
const (
	RunSetRIP   = 1 << 0 // take State.RIP
	RunSetState = 1 << 1 // take all of State
)

// Exits that VCPURun returns beside those of package virt's Kinds: they need the upper half.
// KindIO: the port access is State.Exit's; RIP is behind the instruction already (not for string
// instructions), an IN's result goes to GPR[RAX]. KindMMIO and string I/O: all of State is valid;
// the upper half emulates and has the new RIP or State taken. KindTripleFault, KindFailedEntry,
// KindDelivery, KindUnknown: the end of the VM. KindNop: kicked.

// VMCreate makes a VM. It has no memory yet: that comes when it is touched, out of what VMReserve and VMGrant set aside.
// ENOMEM: the host has too little for what it costs.
func VMCreate(c *VMConfig) (VMHandle, error) {
	h, err := call(NumVMCreate, uintptr(unsafe.Pointer(c)), 0, 0, 0)
	return VMHandle(h), err
}

// VMMemory is the VM's memory as the upper half sees it: the RAM below the device hole and that
// above 4 GiB, which may be empty.
func VMMemory(h VMHandle) (low, high []byte, err error) {
	var w [4]uint64
	if _, err = call(NumVMMemory, uintptr(h), uintptr(unsafe.Pointer(&w)), 0, 0); err != nil {
		return nil, nil, err
	}
	low = unsafe.Slice(pointer(w[0]), w[1])
	if w[3] != 0 {
		high = unsafe.Slice(pointer(w[2]), w[3])
	}
	return low, high, nil
}

// A Range is a part of a VM's memory.
type Range struct {
	GPA, Bytes uint64 // multiples of 4 KiB
}

// MaxRanges is how many VMRelease takes.
const MaxRanges = 1024

// VMRelease gives ranges of the VM's memory, all of it RAM, back to the host's page frames. It returns how many bytes it has
// dealt with, in their order, which may be fewer. They are gone at once, for the guest and for who has VMMemory, and are
// there again, zeroed, when they are touched: a touch by the guest is an exit of KindMMIO, which VMPopulate answers.
func VMRelease(h VMHandle, ranges []Range) (uint64, error) {
	done, err := call(NumVMRelease, uintptr(h), uintptr(unsafe.Pointer(unsafe.SliceData(ranges))), uintptr(len(ranges)), 0)
	return uint64(done), err
}

// VMPopulate gives the VM zeroed memory at gpa, if there is none, out of what is set aside for it: 2 MiB in one piece where
// all of that is missing, else a page. ENOMEM: too little is set aside for it; where whole is set that is so, too, if it is
// enough for a page but not for 2 MiB that would fit.
func VMPopulate(h VMHandle, gpa uint64, whole bool) error {
	_, err := call(NumVMPopulate, uintptr(h), uintptr(gpa), flag(whole), 0)
	return err
}

// VMBack gives the VM the GiB of its memory at gpa in one page, out of what is set aside for it. It takes some calls: again
// is true while there is more to do. Where it can't be had an error says so, and the memory comes when it is touched.
func VMBack(h VMHandle, gpa uint64) (again bool, err error) {
	n, err := call(NumVMBack, uintptr(h), uintptr(gpa), 0, 0)
	return n != 0, err
}

// VMGrant sets so many bytes more aside for the VM, or fewer where bytes is negative, and says how many it holds then: what
// it has, and what is set aside for it. ENOMEM: the host has too little.
func VMGrant(h VMHandle, bytes int64) (held uint64, err error) {
	n, err := call(NumVMGrant, uintptr(h), uintptr(bytes), 0, 0)
	return uint64(n), err
}

// VMReserve is how many bytes the VM holds from now on at least, whatever it releases. ENOMEM: the host has too little; it
// stays as it was.
func VMReserve(h VMHandle, bytes uint64) error {
	_, err := call(NumVMReserve, uintptr(h), uintptr(bytes), 0, 0)
	return err
}

// MemoryUse is what a VM has of the host's memory, in bytes.
type MemoryUse struct {
	Resident uint64 // its memory that is there
	Granted  uint64 // set aside for it, and not there yet
	Large    uint64 // of Resident, in pages of 2 MiB or 1 GiB
	Overhead uint64 // page tables, virtual processors
}

// VMMemoryUse says what a VM has.
func VMMemoryUse(h VMHandle) (u MemoryUse, err error) {
	_, err = call(NumVMMemoryUse, uintptr(h), uintptr(unsafe.Pointer(&u)), 0, 0)
	return u, err
}

// VMSample looks at the next part of a VM's memory: at how many bytes, how many of them are in pages that the guest has
// touched since they were last looked at, and whether that was the last part. ENOSYS: the processor doesn't keep that.
func VMSample(h VMHandle) (seen, touched uint64, last bool, err error) {
	var w [3]uint64
	_, err = call(NumVMSample, uintptr(h), uintptr(unsafe.Pointer(&w)), 0, 0)
	return w[0], w[1], w[2] != 0, err
}

// MaxNodes is how many NUMA nodes there are at most.
const MaxNodes = 64

// Nodes are the host's NUMA nodes; a host without an SRAT has one. What the SRAT doesn't name, and processors of a domain
// without memory, are the first one's.
type Nodes struct {
	N    uint64
	Node [MaxNodes]Node
}

// Node is a NUMA node, its memory in bytes.
type Node struct {
	Domain             uint64 // ACPI's number
	CPUs               uint64 // its logical processors, a bit each
	Total, Free, Clean uint64 // Clean: free and zeroed
	Order              [MaxNodes]uint8
}

// GetNodes fills n.
func GetNodes(n *Nodes) error {
	_, err := call(NumNodes, uintptr(unsafe.Pointer(n)), 0, 0, 0)
	return err
}

// VMDestroy gives back all that a VM has. None of its virtual processors may be in VCPURun, and
// nothing may touch its memory or pages afterwards.
func VMDestroy(h VMHandle) error {
	for more := true; more; {
		var err error
		if more, err = VMDestroyPart(h); err != nil {
			return err
		}
	}
	return nil
}

// VMDestroyPart is a part of VMDestroy, since interrupts are off in a call: it says whether there is more to do.
func VMDestroyPart(h VMHandle) (more bool, err error) {
	n, err := call(NumVMDestroy, uintptr(h), 0, 0, 0)
	return n != 0, err
}

// VMReset puts the VM's lower-half devices and virtual processors into the state after power-on.
// No virtual processor may be in VCPURun.
func VMReset(h VMHandle) error {
	_, err := call(NumVMReset, uintptr(h), 0, 0, 0)
	return err
}

// VCPUPageOf is the shared page of virtual processor i.
func VCPUPageOf(h VMHandle, i int) (*VCPUPage, error) {
	p, err := call(NumVCPUPage, uintptr(h), uintptr(i), 0, 0)
	if err != nil {
		return nil, err
	}
	return (*VCPUPage)(unsafe.Pointer(pointer(uint64(p)))), nil
}

//go:linkname entersyscallblock runtime.entersyscallblock
func entersyscallblock()

//go:linkname entersyscall runtime.entersyscall
func entersyscall()

//go:linkname exitsyscall runtime.exitsyscall
func exitsyscall()

// What VCPURunBriefly returns without an exit: its time is over, the guest waits, it may be called
// again at once, or the processor has no brief runs. But for BriefAgain, and where the guest is likely to
// run for long, VCPURun it is.
const (
	BriefOver  = 1
	BriefWaits = 2
	BriefAgain = 3
	BriefNever = 4
)

// VCPURunBriefly is VCPURun for guests that exit all the time. The P stays with the goroutine, as in
// an ordinary computation, so it returns after some 100 µs, and when anything else wants the
// processor. It returns 0 after an exit, one of the Brief constants, or a negative
// error number.
//
//go:nosplit
func VCPURunBriefly(h VMHandle, i int, flags uint64, event virt.Event) int64 {
	return vmbrief(uint64(h)<<8|uint64(i), flags, uint64(event))
}

// vmbrief is the call NumVMBrief, of which the kernel keeps no register but SP and BP.
//
//go:noescape
func vmbrief(id, flags, event uint64) int64

// VCPURun lets virtual processor i run until an exit needs the upper half. flags are the Run
// constants; event, where valid, is injected. The world of the calling thread waits meanwhile;
// block says that exits have become rare, so that the P is handed on at once.
//
// It returns once its goroutine has a P again: where none is free it queues behind all goroutines that are ready, which have up
// to 10 ms each, and a thread of its own wouldn't change that. So who makes work for the host leaves a P free, see packages
// api/server and door.
//
//go:nosplit
func VCPURun(h VMHandle, i int, flags uint64, event virt.Event, block bool) linux.Errno {
	if block {
		entersyscallblock()
	} else {
		entersyscall()
	}
	r := raw(NumVMRun, uintptr(h)<<8|uintptr(i), uintptr(flags), uintptr(event), 0)
	exitsyscall()
	return errnoOf(r)
}

// VCPUKick makes a VCPURun of virtual processor i return soon, with KindNop; a later one if there is
// none.
func VCPUKick(h VMHandle, i int) error {
	_, err := call(NumVMKick, uintptr(h), uintptr(i), 0, 0)
	return err
}

// VMLine asserts or clears the VM's interrupt line gsi, 0 to 23: both the IOAPIC's pin and, below
// 16, the 8259's input.
func VMLine(h VMHandle, gsi uint8, level bool) {
	call(NumVMLine, uintptr(h), uintptr(gsi), flag(level), 0)
}

// VMNMI sends the VM an NMI as the machine's dump button does: by LINT1 of each local APIC, if the guest has set that so.
func VMNMI(h VMHandle) error {
	_, err := call(NumVMNMI, uintptr(h), 0, 0, 0)
	return err
}

// VMMMIORead reads size bytes of a register of a lower-half device (local APIC of vCPU i, IOAPIC)
// at a guest-physical address.
func VMMMIORead(h VMHandle, i int, gpa uint64) uint32 {
	v, _ := call(NumVMMMIO, uintptr(h)<<8|uintptr(i), uintptr(gpa), 0, 0)
	return uint32(v)
}

// VMMMIOWrite writes such a register.
func VMMMIOWrite(h VMHandle, i int, gpa uint64, v uint32) {
	call(NumVMMMIO, uintptr(h)<<8|uintptr(i), uintptr(gpa), 1, uintptr(v))
}

// VMPortRead reads size bytes, 1, 2 or 4, from I/O port p of a lower-half device (8259, 8254 and port
// 61H by bytes, the PM timer); others read ones.
func VMPortRead(h VMHandle, p uint16, size int) uint32 {
	v, _ := call(NumVMPort, uintptr(h), uintptr(p)|uintptr(size)<<16, 0, 0)
	return uint32(v)
}

// VMPortWrite writes to such a port.
func VMPortWrite(h VMHandle, p uint16, size int, v uint32) {
	call(NumVMPort, uintptr(h), uintptr(p)|uintptr(size)<<16, 1, uintptr(v))
}

// HostCPUID is the host processor's CPUID.
func HostCPUID(leaf, sub uint32) (eax, ebx, ecx, edx uint32) {
	var r [4]uint32
	call(NumHostCPUID, uintptr(leaf), uintptr(sub), uintptr(unsafe.Pointer(&r)), 0)
	return r[0], r[1], r[2], r[3]
}
