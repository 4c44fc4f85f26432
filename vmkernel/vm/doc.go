// Package vm runs virtual machines: it makes one from its description in the seed, gives it memory,
// devices and a kernel, runs its virtual processors, and ends it with a reason.
//
// The rules that it keeps: what a guest does, and what its kernel's file says, ends that VM at worst;
// a VM stops for the reason that was given first; an exit allocates nothing; and after a VM has been
// destroyed nothing of it touches its handle, its memory or its pages again.
//
// cmd/keel makes a Manager, which holds the VMs by name. Each VM lives in a goroutine of its own, and
// each of its virtual processors in another, which spends its life in Backend.Run. All that the lower
// half does is behind Backend, so that tests have a machine of their own. The package must never
// reach guest memory but through guestmem, nor execute a privileged instruction.
package vm
