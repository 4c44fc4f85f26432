package vmx

import (
	"keel/arch/amd64"
	"keel/arch/amd64/virt"
)

// VCPU is one virtual processor's VMCS and what is remembered of it so as not to ask it twice. It
// holds no Go pointer and lies in a page frame. The zero VCPU is ready for Init.
type VCPU struct {
	// The time-stamp counter at the last entry and at the exit from it.
	Entered, Exited uint64

	// Refused is the last field that the processor refused to write, which is a bug; else 0.
	Refused uint32

	launched uint32 // 1 after the first entry since VMPTRLD of a clear VMCS; enter sets it
	hostRSP  uint64 // what HOST_RSP holds; enter keeps it

	control   uint64 // physical address of the VMCS
	msrBitmap uint64
	root      uint64 // of the EPT
	gs, fs    uint64 // the host bases in the VMCS, which tell its last processor; 0 for none
	tscOffset uint64
	eoiExit   [4]uint64
	host      host

	// Controls as they are in the VMCS.
	pin, proc, sec uint32

	vpid     uint16
	apicv    bool
	unusable bool // VMPTRLD failed: entering would run another VM

	// What is known of the guest since the last exit.
	known            uint8
	rare             uint64 // of an instruction that retired on exit, what is left of its end; else notRetired
	injecting        bool   // an event is in the VM-entry interruption information
	rflags           uint64
	interruptibility uint32
}

// Bits of known.
const knownInterruptible = 1 // rflags and interruptibility hold what the VMCS does

// notRetired is VCPU.rare where the exit left the guest at the instruction.
const notRetired = ^uint64(0)

// exceptions is the exception bitmap: #DB and #AC, since a guest can make each loop within one
// instruction for ever, and #MC, which is the host's.
const exceptions = 1<<1 | 1<<17 | 1<<18

// PAUSE-loop exiting (SDM 3C 26.1.3): PAUSEs no further apart than the gap make a loop, which exits
// once it lasts longer than the window, both in TSC ticks.
const (
	pleGap    = 128
	pleWindow = 4096
)

// Init makes a VMCS of the pages that cfg names and returns "", or why it can't. It leaves the
// VMCS clear, to be Loaded anywhere, and no VMCS current on the calling processor. The guest's
// registers are SetState's.
func (v *VCPU) Init(cfg *virt.Config) string {
	if cfg.ASID == 0 || cfg.ASID > 0xFFFF {
		return "vmx: a VPID is 1 to 65535"
	}
	v.Refused = 0
	v.launched, v.hostRSP, v.gs, v.fs, v.known, v.injecting = 0, 0, 0, 0, 0, false
	v.control, v.msrBitmap, v.root = cfg.Control, cfg.MSRBitmap, cfg.NestedRoot

	poke32(v.control, revision())
	if !vmclear(v.control) || !vmptrld(v.control) {
		v.unusable = true
		return "vmx: the VMCS page was refused"
	}
	v.unusable = false
	if !v.initControls(cfg) {
		return "vmx: the processor lacks a control that it had at start"
	}
	v.initHost()
	v.initGuest()
	vmclear(v.control)
	if v.Refused != 0 {
		return "vmx: the processor refused a VMCS field"
	}
	return ""
}

func (v *VCPU) initControls(cfg *virt.Config) (ok bool) {
	proc, sec := uint32(procRequired), uint32(secRequired)
	shadow := cfg.APICPage != 0 && caps.proc>>32&procTPRShadow != 0
	v.apicv = shadow && cfg.APICAccess != 0 && caps.sec>>32&secAPICv == secAPICv
	if shadow {
		proc |= procTPRShadow
		v.w64(VIRTUAL_APIC_ADDRESS, cfg.APICPage)
		v.w32(TPR_THRESHOLD, 0)
	} else {
		proc |= procCR8Load | procCR8Store
	}
	if v.apicv {
		sec |= secAPICv
		v.w64(APIC_ACCESS_ADDRESS, cfg.APICAccess)
		v.w16(GUEST_INTERRUPT_STATUS, 0)
		for i := range v.eoiExit {
			v.setEOIExit(i, 0)
		}
	}
	optional := uint32(secOptional)
	if caps.ept&vpidINVVPID == 0 || caps.ept&(vpidSingle|vpidAll) == 0 {
		optional &^= secVPID
	}
	var okPin, okProc, okSec bool
	v.pin, okPin = adjust(pinRequired, 0, caps.pin)
	v.proc, okProc = adjust(proc, 0, caps.proc)
	v.sec, okSec = adjust(sec, optional, caps.sec)
	exit, okExit := adjust(exitRequired, 0, caps.exit)
	entry, okEntry := adjust(entryRequired, 0, caps.entry)
	v.w32(PIN_BASED_CONTROLS, v.pin)
	v.w32(PROCESSOR_BASED_CONTROLS, v.proc)
	v.w32(SECONDARY_CONTROLS, v.sec)
	v.w32(VM_EXIT_CONTROLS, exit)
	v.w32(VM_ENTRY_CONTROLS, entry)

	v.vpid = 0
	if v.sec&secVPID != 0 {
		v.vpid = uint16(cfg.ASID)
		v.w16(VIRTUAL_PROCESSOR_ID, v.vpid)
	}
	if v.sec&secPLE != 0 {
		v.w32(PLE_GAP, pleGap)
		v.w32(PLE_WINDOW, pleWindow)
	}
	if v.sec&secENCLS != 0 {
		v.w64(ENCLS_EXITING_BITMAP, ^uint64(0))
	}
	if v.sec&secENCLV != 0 {
		v.w64(ENCLV_EXITING_BITMAP, ^uint64(0))
	}
	v.w64(EPT_POINTER, EPTPointer(v.root))
	fill(cfg.IOBitmap, ^uint64(0), 2*amd64.PageSize/8)
	v.w64(IO_BITMAP_A, cfg.IOBitmap)
	v.w64(IO_BITMAP_B, cfg.IOBitmap+amd64.PageSize)
	v.initMSRBitmap()
	v.w64(MSR_BITMAPS, v.msrBitmap)
	v.tscOffset = cfg.TSCOffset
	v.w64(TSC_OFFSET, v.tscOffset)
	v.w32(EXCEPTION_BITMAP, exceptions)
	v.w32(PAGE_FAULT_ERROR_CODE_MASK, 0)
	v.w32(PAGE_FAULT_ERROR_CODE_MATCH, 0)
	v.w32(CR3_TARGET_COUNT, 0)
	v.w32(VM_EXIT_MSR_STORE_COUNT, 0)
	v.w32(VM_EXIT_MSR_LOAD_COUNT, 0)
	v.w32(VM_ENTRY_MSR_LOAD_COUNT, 0)
	v.w32(VM_ENTRY_INTERRUPTION_INFO, 0)
	return okPin && okProc && okSec && okExit && okEntry
}

// initGuest writes the guest-state fields that SetState doesn't.
func (v *VCPU) initGuest() {
	v.w64(VMCS_LINK_POINTER, ^uint64(0))
	v.w64(GUEST_IA32_DEBUGCTL, 0)
	v.w32(GUEST_SMBASE, 0)
	v.wN(CR0_GUEST_HOST_MASK, cr0HostOwned)
	v.wN(CR4_GUEST_HOST_MASK, cr4HostOwned)
}

// initHost writes the host-state fields that are the same on every processor (SDM 3C 25.5).
func (v *VCPU) initHost() {
	cs, ss := selectors()
	v.w16(HOST_CS_SELECTOR, uint16(cs))
	v.w16(HOST_SS_SELECTOR, uint16(ss))
	v.w16(HOST_DS_SELECTOR, uint16(ss))
	v.w16(HOST_ES_SELECTOR, uint16(ss))
	v.w16(HOST_FS_SELECTOR, 0)
	v.w16(HOST_GS_SELECTOR, 0)
	v.wN(HOST_RIP, exitAddress())
}

// Load makes v's VMCS current on the calling processor, and writes the host state that is the
// processor's own where v last ran on another. It costs little where neither is needed. The host's
// own SYSCALL MSRs must be in the processor: no guest is switched in.
func (v *VCPU) Load() {
	gs, fs, vmcs := current()
	if vmcs != v.control {
		v.unusable = !vmptrld(v.control)
		if v.unusable {
			return
		}
		v.host.foreign = true
	}
	if gs != v.gs {
		v.gs = gs
		v.host.foreign = true
		v.host.capture()
		v.loadHost()
		// It may have run here before, and its page tables have changed since; and its VPID and the
		// root of its EPT may have been another's, who is gone.
		v.forget()
		INVEPT(v.root)
	}
	if fs != v.fs {
		v.fs = fs
		v.wN(HOST_FS_BASE, fs)
	}
}

// loadHost writes the calling processor's own state into the host-state area.
func (v *VCPU) loadHost() {
	gdt, idt, tss, tr := tables()
	v.wN(HOST_CR0, amd64.ReadCR0())
	v.wN(HOST_CR3, amd64.ReadCR3())
	v.wN(HOST_CR4, amd64.ReadCR4())
	v.wN(HOST_GS_BASE, v.gs)
	v.wN(HOST_TR_BASE, tss)
	v.w16(HOST_TR_SELECTOR, uint16(tr))
	v.wN(HOST_GDTR_BASE, gdt)
	v.wN(HOST_IDTR_BASE, idt)
	v.w64(HOST_IA32_PAT, amd64.RDMSR(amd64.MSR_PAT))
	v.w64(HOST_IA32_EFER, amd64.RDMSR(amd64.MSR_EFER))
	v.w32(HOST_IA32_SYSENTER_CS, uint32(amd64.RDMSR(amd64.MSR_SYSENTER_CS)))
	v.wN(HOST_IA32_SYSENTER_ESP, amd64.RDMSR(amd64.MSR_SYSENTER_ESP))
	v.wN(HOST_IA32_SYSENTER_EIP, amd64.RDMSR(amd64.MSR_SYSENTER_EIP))
}

// Clear writes v's VMCS back to memory and leaves it clear, so that another processor may Load it
// or its page be freed. It must run on the processor that Loaded it last.
func (v *VCPU) Clear() {
	vmclear(v.control)
	v.launched, v.gs, v.fs = 0, 0, 0
}
