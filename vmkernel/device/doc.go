// Package device is what a virtual machine's device models have in common:
// the interfaces that they implement and use, and the Bus that leads a
// guest's port and MMIO accesses to them.
//
// The rules that it keeps: each port and each MMIO address belongs to one
// device at most; what belongs to none reads all ones, ignores writes and is
// counted. A device never learns where it sits: it sees offsets within the
// range that it was given.
//
// The VM's exit loop calls the Bus from the goroutine of the vCPU that left
// guest mode, so several calls run at once: the Bus is immutable once the VM
// runs, and every device has a mutex of its own. An access allocates nothing.
// Offsets, sizes and values come from the guest and are hostile; a device
// must never panic, block, or loop without a bound because of them.
package device
