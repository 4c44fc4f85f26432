package svm

import (
	"sync/atomic"

	"keel/arch/amd64"
	"keel/arch/amd64/virt"
)

// sizes of the permission maps, bytes (APM 2 15.10.1, 15.11)
const (
	msrpmSize = 2 * amd64.PageSize
	iopmSize  = 3 * amd64.PageSize
)

// Tuning of the PAUSE filter: loops whose PAUSEs are at most pauseThreshold cycles apart leave the
// guest after pauseCount of them. Without the filter every PAUSE does.
const (
	pauseThreshold = 128
	pauseCount     = 3000
)

// A VCPU is a virtual processor under AMD-V. It holds addresses, not pointers, and may live in a
// page frame; nothing in it is valid before Init. Its methods are called by the processor that has
// it loaded, or by one that knows that none runs it.
type VCPU struct {
	// Invalidations counts the entries that dropped translations, since Init.
	Invalidations uint64

	mem      uint64 // virtual address of physical address 0
	control  uint64 // physical address of the VMCB
	root     uint64 // of the nested page table
	apic     uint64 // physical address of the APIC page, 0 where none
	host     uint64 // host save area of the processor that has it loaded, 0 where none
	cr4      uint64 // bits of CR4 that the guest may set
	tsc      uint64 // what is added to the time-stamp counter
	features uint32 // CPUID 8000_000AH EDX
	hidden   uint32 // CPUID 8000_0008H EBX
	clean    uint32 // what is clean after an exit: all, or nothing on a processor without clean bits
	physBits uint8
	hasAux   bool   // the processor has TSC_AUX
	shared   bool   // the ASID is shared with other virtual processors
	flush    bool   // the next Enter drops the TLB's entries of this ASID
	suspect  bool   // state was written by software: check it before it runs
	hideMCE  bool   // the guest sees CR4.MCE clear
	injected bool   // the last Enter injected an event...
	freeCR0  bool   // writes to CR0 are the guest's own until the next exit
	tprLimit uint8  // SetTPRThreshold
	entered  uint64 // ...at this RIP
	event    virt.Event
	offered  bool   // as a virtual interrupt
	timer    uint64 // deadline of SetTimer, unused
	narrowed uint32 // the value of the global at the last flush
	nmi      nmiState
}

// Init makes the virtual processor from cfg, whose pages are zeroed and outlive it, and returns what
// is wrong, or nothing. All of its state is zero until SetState.
func (v *VCPU) Init(cfg *virt.Config) string {
	_, asids, _, features := amd64.CPUID(0x8000_000A, 0)
	_, _, _, edx := amd64.CPUID(0x8000_0001, 0)
	sizes, hidden, _, _ := amd64.CPUID(0x8000_0008, 0)
	v.cr4, v.hidden = cr4Mask(), hidden
	v.hasAux = edx&(1<<27) != 0
	v.physBits = uint8(sizes)
	return v.init(amd64.DirectMap, cfg, features, asids)
}

// init is Init on a processor with the given features and number of ASIDs, with physical memory
// seen at virtual address mem.
func (v *VCPU) init(mem uint64, cfg *virt.Config, features, asids uint32) string {
	if cfg.Control == 0 || cfg.MSRBitmap == 0 || cfg.IOBitmap == 0 || cfg.NestedRoot == 0 ||
		(cfg.Control|cfg.MSRBitmap|cfg.IOBitmap|cfg.NestedRoot|cfg.APICPage)%amd64.PageSize != 0 {
		return "svm: a page of the virtual processor's configuration is absent or unaligned"
	}
	if cfg.ASID == 0 || asids < 2 {
		return "svm: no address-space identifier for the virtual processor"
	}
	v.mem, v.control, v.root, v.apic = mem, cfg.Control, cfg.NestedRoot, cfg.APICPage
	v.host, v.event, v.timer = 0, 0, 0
	v.features, v.clean = features, 0
	if features&featVMCBClean != 0 {
		v.clean = cleanAll
	}
	v.flush, v.suspect, v.narrowed = true, true, 0
	v.Invalidations = 0
	v.hideMCE, v.injected, v.freeCR0, v.tprLimit = false, false, false, 0
	v.nmi.init()

	c := v.vmcb()
	c.InterceptCR = baseCR
	if v.apic == 0 {
		c.InterceptCR |= interceptCR8Read | interceptCR8Write
	}
	c.InterceptException = baseExceptions
	c.InterceptMisc1 = baseMisc1
	c.InterceptMisc2 = baseMisc2
	if v.hidden&hasRDPRU != 0 {
		c.InterceptMisc2 |= interceptRDPRU
	}
	if v.hidden&hasMCOMMIT != 0 {
		c.InterceptMisc3 |= interceptMCOMMIT
	}
	if features&featPauseFilter != 0 {
		c.PauseCount = pauseCount
		if features&featPauseThresh != 0 {
			c.PauseThreshold = pauseThreshold
		}
	}
	c.IOPMBase, c.MSRPMBase = cfg.IOBitmap, cfg.MSRBitmap
	v.tsc = cfg.TSCOffset
	c.TSCOffset = v.tsc
	// The last ASID is for all virtual processors beyond the number that have one of their own.
	c.ASID, v.shared = cfg.ASID, false
	if c.ASID >= asids-1 {
		c.ASID, v.shared = asids-1, true
	}
	c.VIntr = vIntrMasking
	c.NestedControl, c.NCR3 = nestedPaging, cfg.NestedRoot
	if features&featLBRVirt != 0 {
		c.LBRControl = lbrEnable
	}
	c.GPAT = patReset

	v.fill(cfg.IOBitmap, iopmSize)
	v.fill(cfg.MSRBitmap, msrpmSize)
	for msr := uint32(amd64.MSR_STAR); msr <= amd64.MSR_SFMASK; msr++ {
		v.allowMSR(cfg.MSRBitmap, msr)
	}
	for msr := uint32(amd64.MSR_FS_BASE); msr <= amd64.MSR_KERNEL_GS_BASE; msr++ {
		v.allowMSR(cfg.MSRBitmap, msr)
	}
	for msr := uint32(amd64.MSR_SYSENTER_CS); msr <= amd64.MSR_SYSENTER_EIP; msr++ {
		v.allowMSR(cfg.MSRBitmap, msr)
	}
	return ""
}

// fill sets all bits of a map, so that what it governs leaves the guest.
func (v *VCPU) fill(pa, size uint64) {
	for i := uint64(0); i < size; i += 8 {
		*v.word(pa + i) = ^uint64(0)
	}
}

// allowMSR lets the guest read and write an MSR of C000_0000H to C000_1FFFH or 0 to 1FFFH directly:
// two bits an MSR, from offset 0 for the low ones and 800H for the high (APM 2 15.11).
func (v *VCPU) allowMSR(pa uint64, msr uint32) {
	bit := uint64(msr&0x1FFF) * 2
	if msr >= 0xC000_0000 {
		bit += 0x800 * 8
	}
	*v.word(pa + bit/64*8) &^= 3 << (bit % 64)
}

// Load readies the virtual processor for the calling processor, which is known by its host save
// area, and notes the host's FS, GS, TR, LDTR, SYSCALL and SYSENTER registers, which every exit
// restores. On another processor than before, nothing that it cached of the guest is valid.
func (v *VCPU) Load() {
	host := amd64.RDMSR(msrHSAVEPA)
	vmsave(host)
	if host != v.host {
		v.host, v.flush = host, true
		v.vmcb().Clean = 0
	} else if v.shared {
		v.flush = true
	}
}

// Clear parts the virtual processor from its processor: the next Load counts as on another one.
func (v *VCPU) Clear() { v.host = 0 }

// Enter runs the guest until an exit; Decode then says why. The event given to Inject is delivered
// first. It returns false if the processor, or Check before it, refused the state; nothing ran then,
// and Check names the field. Interrupts are off, v is Loaded here, s's guest switched in. Afterwards
// s.GPR, CR2, X14, X15 and Exit.Reason are the guest's and the caller's own are what they were.
func (v *VCPU) Enter(s *virt.State) bool {
	c := v.vmcb()
	if v.suspect {
		if field, _ := v.Check(); field != "" {
			c.ExitCode, c.ExitInfo1, c.ExitInfo2, c.ExitIntInfo = exitInvalid, 0, 0, 0
			s.Exit.Reason = exitInvalid
			return false
		}
		v.suspect = false
	}
	if v.nmi.wanted {
		v.armStep(c)
	}
	v.offer(c)
	v.injected, v.entered = c.EventInj&eventValid != 0, c.RIP
	c.TLBControl = 0
	if n := atomic.LoadUint32(&narrowed); v.flush || n != v.narrowed {
		v.flush, v.narrowed = false, n
		v.Invalidations++
		c.TLBControl = tlbFlushAll
		if v.features&featFlushByASID != 0 {
			c.TLBControl = tlbFlushASID
		}
	}
	if v.apic != 0 {
		v.loadTPR(c)
	}
	if c.CR2 != s.CR2 {
		c.CR2 = s.CR2
		c.Clean &^= cleanCR2
	}
	c.RAX, c.RSP = s.GPR[virt.RAX], s.GPR[virt.RSP]
	run(v.control, v.host, s)
	s.GPR[virt.RAX], s.GPR[virt.RSP], s.CR2 = c.RAX, c.RSP, c.CR2
	s.Exit.Reason = uint32(c.ExitCode)
	c.Clean = uint64(v.clean)
	if v.apic != 0 {
		v.storeTPR(c)
	}
	return s.Exit.Reason != exitInvalid
}

// SwitchIn loads what VMRUN doesn't: DR0 to DR3 and TSC_AUX. It does nothing where s is loaded
// already. On these the host must not depend: a guest's stay until another guest's replace them.
func (v *VCPU) SwitchIn(s *virt.State) {
	if s.Loaded == 0 {
		s.Loaded = 1
		v.loadRegisters(s)
	}
}

func (v *VCPU) loadRegisters(s *virt.State) {
	for i := range s.DR {
		amd64.WriteDR(i, s.DR[i])
	}
	if v.hasAux {
		amd64.WRMSR(amd64.MSR_TSC_AUX, s.TSCAux)
	}
}

// SwitchOut takes the guest's values back into s. It does nothing where s isn't loaded.
func (v *VCPU) SwitchOut(s *virt.State) {
	if s.Loaded != 0 {
		saveDebug(s)
		s.Loaded = 0
	}
}

func saveDebug(s *virt.State) {
	for i := range s.DR {
		s.DR[i] = amd64.ReadDR(i)
	}
}

// SetTimer asks for an exit of KindTimer after ticks. AMD-V has no such timer: nothing comes of it,
// and the caller's own timer interrupt has to leave the guest.
func (v *VCPU) SetTimer(ticks uint64, on bool) {
	v.timer = 0
	if on {
		v.timer = ticks
	}
}

// HasTimer says whether SetTimer works.
func HasTimer() bool { return false }

// SetTSCOffset sets what is added to the processor's time-stamp counter to make the guest's.
func (v *VCPU) SetTSCOffset(offset uint64) {
	if offset == v.tsc {
		return
	}
	v.tsc = offset
	c := v.vmcb()
	c.TSCOffset = offset
	c.Clean &^= cleanI
}

// TSCOffset is the offset last set.
func (v *VCPU) TSCOffset() uint64 { return v.tsc }

// RIP is the guest's instruction pointer.
func (v *VCPU) RIP() uint64 { return v.vmcb().RIP }

// SetRIP moves the guest to another instruction, with no interrupt shadow.
func (v *VCPU) SetRIP(rip uint64) {
	c := v.vmcb()
	c.RIP = rip
	c.IntShadow = 0
}

// Skip moves the guest past the instruction that left it, as if it had completed: the interrupt
// shadow ends and single-stepping traps. It does nothing where Exit.Len is 0.
func (v *VCPU) Skip(s *virt.State) {
	c := v.vmcb()
	if s.Exit.Len == 0 {
		return
	}
	rip := c.RIP + uint64(s.Exit.Len)
	if !c.long() {
		rip &= 0xFFFF_FFFF
	}
	c.RIP, c.IntShadow = rip, 0
	c.RFLAGS &^= flagRF
	if c.RFLAGS&flagTF != 0 && !v.event.Valid() {
		c.DR6 |= dr6BS
		c.Clean &^= cleanDRx
		v.Inject(virt.Exception(vectorDB))
	}
}

// long says whether the guest executes 64-bit code.
func (c *VMCB) long() bool { return c.EFER&amd64.EFER_LMA != 0 && c.CS.Attrib&attribL != 0 }
