// Package vm runs virtual machines: it holds their descriptions, gives one that is started memory, devices and a kernel,
// runs its virtual processors, and ends it with a reason.
//
// The rules that it keeps: what a guest does, and what its kernel's image says, ends that VM at worst;
// a VM stops for the reason that was given first; an exit allocates nothing; and after a VM has been
// destroyed nothing of it touches its handle, its memory or its pages again. Of what is asked of a VM, all takes effect
// or nothing does, and an error's type says which kind it is.
//
// The host's memory is shared by the policy of package mem. A VM is started if its reservation, with what it costs beyond its
// memory, can be set aside, and if what it is sized for could be had at all: from what is free, and from what balloons could
// give back; for what is lent to others it waits until they have. It begins without memory, and gets it, zeroed, when it is
// touched: at once what it has reserved, and beyond that what the policy grants. What is granted is set aside in the lower half first, so that it is there. Where nothing can
// be granted, a virtual processor that touches memory waits outside guest mode until something can: the log says once what
// for, the VM can be paused and killed meanwhile, and nothing crashes. Once a second what guests use is looked at and their
// balloons' targets are set, by shares and idleness; a guest that doesn't obey keeps what it has and gets no more. Device
// models don't wait: what they touch for a guest beyond what it was granted comes from the host's spare frames, and the
// guest's processors wait until that is granted. It is little, see room.go: a device that would take more leaves its queues
// until the guest has paid.
//
// cmd/keel makes a Manager, which holds the VMs, those of the seed and those that vmkernel/api creates alike. A VM's State
// says what can be asked of it; each change is an Event, which the audit log sees first (OnEvent) and watchers after
// (Subscribe). Images come from a datastore, by whose rule a description names them; each serial port has a
// console.Port. Each VM that runs lives in a goroutine of its own, and each of its virtual processors in another, which
// spends its life in Backend.Run. All that the lower half does is behind Backend, so that tests have a machine of their
// own. The package must never reach guest memory but through guestmem, nor execute a privileged instruction.
package vm
