package sys

import (
	"unsafe"

	"keel/arch/amd64/virt"
)

// Processor is what reservations and limits count: 100 % of one logical processor.
const Processor = 1000

// SystemRate is what Keel's own threads have reserved, in thousandths of each processor. They go before guests up to that,
// and are paced beyond it while guests want the processor.
const SystemRate = 250

// HostCPU is the logical processor that takes the host's interrupts. It is never a VM's alone.
const HostCPU = 0

// A CPUPolicy is what a VM, or a pool of VMs, may have of the processors. Package sched says what it means.
type CPUPolicy struct {
	Shares      uint32 // 1 to 1,000,000, relative to its siblings'
	Reservation uint32 // thousandths of a processor, guaranteed once package admit has admitted it
	Limit       uint32 // likewise, at least Reservation; 0: none
	Pool        Pool   // what it is in; 0: the host itself
	Affinity    uint64 // a VM's: the processors that it may run on, a bit each; 0: all
	Exclusive   uint32 // a VM's: 1 keeps all others from those of Affinity, and Keel's own threads but for what exits lead to
}

// A Pool names a pool of VMs until it is destroyed; 0 is the host itself, in which all others are.
type Pool uint32

// SystemPool names the group of Keel's own threads, for GetPoolStats. No VM is in it, and it isn't changed.
const SystemPool Pool = 1<<32 - 1

// PoolCreate makes a pool in p.Pool. EINVAL: a value is out of range, or there is no such pool; ENOSPC: there are too many, or
// it would be too deep.
func PoolCreate(p *CPUPolicy) (Pool, error) {
	id, err := call(NumPoolCreate, uintptr(unsafe.Pointer(p)), 0, 0, 0)
	return Pool(id), err
}

// PoolSet changes what a pool may have, at once. EXDEV: p.Pool isn't the pool that it is in, which can't change.
func PoolSet(id Pool, p *CPUPolicy) error {
	_, err := call(NumPoolSet, uintptr(id), uintptr(unsafe.Pointer(p)), 0, 0)
	return err
}

// PoolDestroy ends a pool. EBUSY: something is in it.
func PoolDestroy(id Pool) error {
	_, err := call(NumPoolDestroy, uintptr(id), 0, 0, 0)
	return err
}

// VMSetCPU changes what a VM may have and the pool that it is in, running or not, at once. EINVAL: a value is out of range,
// the affinity has a processor that isn't the host's, or an exclusive one has none or HostCPU, or there is no such pool; EBUSY: a
// processor that it is to have for itself is another's, or the only one of another; ENOSPC: the pool is too deep. Then nothing
// has changed.
func VMSetCPU(h VMHandle, p *CPUPolicy) error {
	_, err := call(NumVMSetCPU, uintptr(h), uintptr(unsafe.Pointer(p)), 0, 0)
	return err
}

// VMPause keeps the VM's virtual processors out of guest mode until VMResume. Those that are in it leave it at once; the
// calls of VCPURun stay where they are, and VCPUKick makes them return. What device models do goes on. A pause isn't counted:
// one VMResume ends it.
func VMPause(h VMHandle) error {
	_, err := call(NumVMPause, uintptr(h), 1, 0, 0)
	return err
}

// VMResume ends a pause; without one it does nothing.
func VMResume(h VMHandle) error {
	_, err := call(NumVMPause, uintptr(h), 0, 0, 0)
	return err
}

// What a world does: WorldStats.State.
const (
	WorldBlocked = 1 + iota // wants no processor
	WorldReady              // waits for one
	WorldRunning
	WorldLimited // a limit keeps it from one, or that it is ahead of its siblings
	WorldPaused
)

// What a world is: WorldStats.Kind.
const (
	WorldThread = 1 + iota // of the Go runtime
	WorldVCPU
)

// WorldStats says where a world's time went, in ns since Created. Used, Ready, Limited, Paused and Blocked add up to the time
// since then.
type WorldStats struct {
	ID    uint32
	Kind  uint32
	State uint32
	CPU   uint32   // where it runs, waits, or ran last
	VM    VMHandle // a virtual processor's, and its index
	VCPU  uint32

	Created  uint64 // the monotonic clock, ns
	Now      uint64 // likewise, of these figures
	Used     uint64 // on a processor; a virtual processor's includes what the upper half did for it
	Ready    uint64 // waiting for a processor
	Limited  uint64 // kept from one by a limit, or for being ahead of its siblings
	Paused   uint64
	Blocked  uint64 // it wanted none
	Stolen   uint64 // Ready and Limited: it wanted a processor and had none
	Outside  uint64 // of Used, about: not in guest mode, but in its exits and their device models
	MaxReady uint64 // the longest wait
	Picks    uint64 // how often it was given a processor

	Exits [virt.Kinds]uint64 // a virtual processor's, by virt.Kind
}

// GetWorldStats fills s for the world with the lowest number that is id or above. ENOENT: there is none.
func GetWorldStats(id uint32, s *WorldStats) error {
	_, err := call(NumWorldStats, uintptr(id), 0, 0, uintptr(unsafe.Pointer(s)))
	return err
}

// GetVCPUStats fills s for virtual processor i of a VM.
func GetVCPUStats(h VMHandle, i int, s *WorldStats) error {
	_, err := call(NumWorldStats, uintptr(h)<<8|uintptr(i), 1, 0, uintptr(unsafe.Pointer(s)))
	return err
}

// CheckWorlds has the lower half check that all it knows of worlds fits together, and returns what doesn't. It is for tests: it
// looks at every world, with interrupts off.
func CheckWorlds() string {
	var text [128]byte
	if n, err := call(NumCheckWorlds, uintptr(unsafe.Pointer(&text)), 0, 0, 0); err == nil && n != 0 {
		return string(text[:min(int(n), len(text))])
	}
	return ""
}

// PoolStats says what all worlds of a pool, now and before, had, in ns.
type PoolStats struct {
	Used  uint64
	Paced uint64 // SystemPool's: 1 while it is above its limit
	Limit uint64 // thousandths of a processor, 0: none
}

// GetPoolStats fills s for a pool: 0 is all of the host.
func GetPoolStats(id Pool, s *PoolStats) error {
	_, err := call(NumPoolStats, uintptr(id), 0, 0, uintptr(unsafe.Pointer(s)))
	return err
}
