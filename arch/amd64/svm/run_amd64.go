package svm

import "keel/arch/amd64/virt"

// run enters the guest of the VMCB at physical address vmcb and returns after its exit, with the
// guest's general registers (RAX and RSP excepted: they are in the VMCB) and XMM14, XMM15 in s and
// the host's FS, GS, TR, LDTR and SYSCALL and SYSENTER registers back from the area at host.
// Interrupts are off before and after; what became pending in the guest stays pending.
//
//go:noescape
func run(vmcb, host uint64, s *virt.State)

// vmsave stores FS, GS, TR, LDTR and the SYSCALL and SYSENTER registers of the processor in the
// page at a physical address, in the layout of the VMCB.
func vmsave(page uint64)
