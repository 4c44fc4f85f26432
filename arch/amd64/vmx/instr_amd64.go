package vmx

import "keel/arch/amd64/virt"

// Each of these is the instruction of its name on the calling processor; ok is false after VMfail.

func vmxon(pa uint64) (ok bool)
func vmxoff()
func vmclear(pa uint64) (ok bool)
func vmptrld(pa uint64) (ok bool)
func vmread(field uint32) uint64
func vmwrite(field uint32, x uint64) (ok bool)

// invept's descriptor is its last two arguments, as invvpid's is. Kinds: SDM 3C 31.3.
func invept(kind, eptp, zero uint64) (ok bool)
func invvpid(kind, vpid, linear uint64) (ok bool)

// vmread2 reads two fields at the price of one call.
func vmread2(first, second uint32) (x, y uint64)

// current returns the processor's GS and FS bases and its current-VMCS pointer.
func current() (gs, fs, vmcs uint64)

// tables returns the bases of GDT, IDT and task-state segment, and TR's selector.
func tables() (gdt, idt, tss, tr uint64)

// selectors returns the selectors in CS and SS.
func selectors() (cs, ss uint64)

// int2 and int18 call the host's handlers of NMIs and machine checks, which an exit has eaten. The
// IRET of the first also lets the next NMI in.
func int2()
func int18()

// exitAddress is the address of vmexit.
func exitAddress() uint64

// switchIn loads STAR, LSTAR, SFMASK and CR2 from s, the vector registers from area, and XCR0 from s.
//
//go:noescape
func switchIn(s *virt.State, area uintptr)

// saveRest stores KERNEL_GS_BASE, DR0 to DR3 and DR6 in s.
func saveRest(s *virt.State)

// switchOut makes XCR0 the host's, stores the vector registers in area and loads clean's. It stores CR2 in s, and loads h's STAR, LSTAR and SFMASK.
//
//go:noescape
func switchOut(h *host, s *virt.State, area, clean uintptr)

// enter runs the guest of the current VMCS until it exits (SDM 3C 26 and 27). Its return is
// vmexit's, or its own with Reason = VMfail where the processor refused to begin. Exit.Kind is left
// with the mark more where detail has to complete it.
//
//go:noescape
func enter(v *VCPU, s *virt.State)

// vmexit is where the processor continues after a VM exit, with the stack as enter left it.
func vmexit()

// advance adds s.Exit.Len to the guest's RIP and learns RFLAGS and interruptibility. rare is not 0
// where Skip has more to do: bits 31:0 have RFLAGS.TF and what blocks interrupts, bits 63:32 how RIP's
// changed.
//
//go:noescape
func advance(v *VCPU, s *virt.State) (rare uint64)

// Physical memory through the direct map; pa is aligned to the size of the access.

func peek64(pa uint64) uint64
func poke32(pa uint64, x uint32)
func poke64(pa uint64, x uint64)

// fill stores x in n quadwords from pa on.
func fill(pa, x, n uint64)
