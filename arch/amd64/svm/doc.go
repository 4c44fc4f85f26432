// Package svm is AMD-V: the virtual machine control block (VMCB), nested paging, world switch and
// decoding of exits, behind the same methods as package vmx. Section numbers are those of AMD's
// Architecture Programmer's Manual, volume 2 (APM 2), chapter 15.
//
// Rule: mechanism without policy. It runs in ring 0 beneath the Go runtime with interrupts off and
// on every exit, so nothing here allocates, keeps a Go pointer outside a stack, or touches a vector
// register but XMM14 and XMM15; TestLowerHalf proves it. What a guest controls is bounds-checked.
//
// vmkernel/core calls it, in this order, on one processor:
//
//	Probe                                   once
//	EnableCPU                               once a processor, after its GS, TR and SYSCALL MSRs are set
//	Init, SetState                          once a virtual processor
//	Load                                    whenever a processor picks the virtual processor up
//	SwitchIn                                before the first Enter after another world ran
//	  Inject, Want...Window, Enter, Decode, then by Exit.Kind: Skip, HandleCR, GetMSR, SetMSR ...
//	SwitchOut                               before another world runs
//	Clear                                   when the virtual processor leaves a processor for good
//
// Save and SetState move the whole state where something other than an exit handler needs it.
package svm
