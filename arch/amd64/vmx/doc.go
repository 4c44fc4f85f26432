// Package vmx runs a virtual processor under Intel VT-x with EPT and unrestricted guest (SDM 3C
// chapters 24 to 31): VMCS, VM entry and exit, control-register and MSR emulation that the
// processor leaves to software, APIC virtualisation, and a checker that says which field of a
// refused VMCS breaks which rule.
//
// Rule: mechanism only. What an exit means, what a guest may see and when it runs is for
// vmkernel/core, the only caller. The package runs beneath the Go runtime with interrupts off: it
// never allocates, blocks, stores Go pointers or grows a stack, and of the vector registers it
// touches XMM14 and XMM15 alone, whose guest values State.X14 and X15 keep (a test disassembles
// it). Package svm has the same functions for AMD-V.
//
// Every processor is given to VT-x once by EnableCPU. A VCPU belongs to one processor at a time:
// between Load there and Clear there, no other processor may touch it, and all methods but Init
// and Clear need the last Load on this processor to have been of this VCPU. The order is
//
//	Init
//	Load, SwitchIn, and SetState where the guest's state is new
//	  Enter, Decode, then by Exit.Kind: HandleCR, GetMSR, SetMSR, Skip, Inject, ...
//	SwitchOut
//	Clear, before another processor Loads it or its pages are freed
//
// From the last instructions before VMLAUNCH to the first after an exit all general registers, and
// XMM14 and XMM15, are the guest's while GS and the stack are the host's: handlers of NMIs and
// machine checks must bring a g of their own and keep those registers.
package vmx
