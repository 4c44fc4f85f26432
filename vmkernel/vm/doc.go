// Package vm runs virtual machines: it holds their descriptions, gives one that is started memory, devices and a kernel,
// runs its virtual processors, and ends it with a reason.
//
// The rules that it keeps: what a guest does, and what its kernel's image says, ends that VM at worst;
// a VM stops for the reason that was given first; an exit allocates nothing; and after a VM has been
// destroyed nothing of it touches its handle, its memory or its pages again. Of what is asked of a VM, all takes effect
// or nothing does, and an error's type says which kind it is.
//
// cmd/keel makes a Manager, which holds the VMs, those of the seed and those that vmkernel/api creates alike. A VM's State
// says what can be asked of it; each change is an Event, which the audit log sees first (OnEvent) and watchers after
// (Subscribe). Images come from a datastore, by whose rule a description names them; each serial port has a
// console.Port. Each VM that runs lives in a goroutine of its own, and each of its virtual processors in another, which
// spends its life in Backend.Run. All that the lower half does is behind Backend, so that tests have a machine of their
// own. The package must never reach guest memory but through guestmem, nor execute a privileged instruction.
package vm
