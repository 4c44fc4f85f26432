// Package svm runs a virtual processor under AMD-V with nested paging: the virtual machine control
// block (VMCB), entry and exit, what of control registers, MSRs and NMI masking the processor leaves
// to software, and a checker that says which field of a refused VMCB breaks which rule. Section
// numbers are those of AMD's Architecture Programmer's Manual, volume 2 (APM 2).
//
// Rule: mechanism only. What an exit means, what a guest may see and when it runs is for
// vmkernel/core, the only caller. The package runs beneath the Go runtime with interrupts off: it
// never allocates, blocks, keeps a Go pointer outside a stack or grows a stack, and of the vector
// registers it touches XMM14 and XMM15 alone, whose guest values State.X14 and X15 keep
// (TestLowerHalf proves it). Package vmx has the same functions for VT-x.
//
// Every processor is given to AMD-V once by EnableCPU. A VCPU belongs to one processor at a time:
// all methods but Init and Clear need the last Load on this processor to have been of this VCPU,
// and a processor that Loads it must be the only one that touches it. The order is
//
//	Init, SetState
//	Load, SwitchIn
//	  Enter, Decode, then by Exit.Kind: HandleCR, GetMSR, SetMSR, Skip, Inject, ...
//	SwitchOut
//	Clear
package svm
