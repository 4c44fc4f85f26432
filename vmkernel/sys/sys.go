package sys

import (
	"unsafe"

	"keel/vmkernel/linux"
)

// Numbers of the calls.
const (
	First   = 0x4B00
	NumInfo = First + iota - 1
	NumPower
	NumModule
	NumPolicy
	NumPage
	NumStats
	NumVMCreate
	NumVMBack
	NumVMMemory
	NumVMDestroy
	NumVMReset
	NumVMRun
	NumVMBrief
	NumVMKick
	NumVMLine
	NumVMMMIO
	NumVCPUPage
	NumHostCPUID
	NumIRQWait
	NumCrash
	NumVMPort
	NumVMRelease
	NumVMPopulate
	NumVMGrant
	NumVMReserve
	NumVMSample
	NumVMMemoryUse
	NumNodes
	NumVMNMI
	NumPCIRead
	NumPCIWrite
	NumBARMap
	NumDMAAlloc
	NumIRQAlloc
	NumIRQWake
	NumSetClock
	NumPoolCreate
	NumPoolSet
	NumPoolDestroy
	NumPoolStats
	NumWorldStats
	NumVMSetCPU
	NumVMPause
	NumCheckWorlds
	End
)

// Info is what there is. Sizes are in bytes, frequencies in Hz.
type Info struct {
	CPUs        uint64
	Memory      uint64 // usable by Keel
	TSCHz       uint64
	BootTicks   uint64 // time-stamp counter at hand-over
	Modules     uint64
	Virt        uint64 // VirtNone, VirtVTX or VirtAMDV
	WallNS      uint64 // ns between 1970 and the monotonic clock's zero, 0: unknown
	TSCSource   [16]byte
	NoVirt      [160]byte // why there is no virtualisation, NUL-terminated
	CommandLine [1024]byte
	// Maker, Product and Serial are the machine's, as its firmware has them: NUL-padded, maybe empty.
	Maker, Product, Serial [48]byte
}

// Values of Info.Virt.
const (
	VirtNone = 0
	VirtVTX  = 1
	VirtAMDV = 2
)

// Stats is what the host's memory and processors have done. Memory is in bytes.
type Stats struct {
	UsedMemory  uint64 // by Keel itself: neither free, nor a VM's memory, nor a boot module's
	FreeMemory  uint64 // free, and not promised to anybody
	UpperMapped uint64 // by the upper half, backed or not; of what it mapped with MAP_NORESERVE, what is backed
	UpperBacked uint64
	UpperLimit  uint64

	Syscalls, Interrupts, Faults, Switches, IPIs, Worlds uint64

	// Decisions counts how often a processor asked which world to run, and DecisionTicks the time-stamp counter's
	// ticks that the answers took. SwitchTicks are those of all Switches, from the question until the world runs.
	Decisions, DecisionTicks, SwitchTicks uint64
}

// A Module is a boot module as the upper half sees it.
type Module struct {
	Addr, Size uint64
	Name       [64]byte
}

// call makes a call. It holds the P, so it is for calls that don't block. What an argument points at
// must not move meanwhile, as a stack does when it grows.
//
//go:uintptrescapes
func call(n, a, b, c, d uintptr) (uintptr, error) {
	r := raw(n, a, b, c, d)
	if errno := errnoOf(r); errno != 0 {
		return 0, errno
	}
	return r, nil
}

// raw is SYSCALL, with Linux's convention for arguments and result. It is here rather than in package
// syscall since that isn't Linux's under every toolchain.
//
//go:noescape
func raw(n, a, b, c, d uintptr) uintptr

// errnoOf is the error in a call's result, 0 where there is none.
//
//go:nosplit
func errnoOf(r uintptr) linux.Errno {
	const last = 4095 // Linux: MAX_ERRNO
	if -r-1 < last {
		return linux.Errno(-r)
	}
	return 0
}

// GetInfo fills info. On a system that isn't Keel it fails with ENOSYS.
func GetInfo(info *Info) error {
	_, err := call(NumInfo, uintptr(unsafe.Pointer(info)), 0, 0, 0)
	return err
}

// GetStats fills s.
func GetStats(s *Stats) error {
	_, err := call(NumStats, uintptr(unsafe.Pointer(s)), 0, 0, 0)
	return err
}

// PowerOff switches the machine off; it doesn't return.
func PowerOff() { call(NumPower, 0, 0, 0, 0) }

// Restart resets the machine; it doesn't return.
func Restart() { call(NumPower, 1, 0, 0, 0) }

// GetModule maps boot module i read-only and describes it.
func GetModule(i int) ([]byte, string, error) {
	var m Module
	if _, err := call(NumModule, uintptr(i), uintptr(unsafe.Pointer(&m)), 0, 0); err != nil {
		return nil, "", err
	}
	n := 0
	for n < len(m.Name) && m.Name[n] != 0 {
		n++
	}
	return unsafe.Slice(pointer(m.Addr), m.Size), string(m.Name[:n]), nil
}

// pointer is an address that the lower half gave as a pointer.
func pointer(addr uint64) *byte { return *(**byte)(unsafe.Pointer(&addr)) }

// SetPolicy says what a fatal fault does: restart, or halt.
func SetPolicy(restart bool) {
	call(NumPolicy, flag(restart), 0, 0, 0)
}

// flag is a bool as the lower half is given it.
func flag(b bool) uintptr {
	if b {
		return 1
	}
	return 0
}
