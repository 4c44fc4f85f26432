package vmx

import (
	"testing"

	"keel/arch/amd64"
	"keel/arch/amd64/virt"
)

// A processor that allows all controls and insists on none, with 39-bit physical addresses.
func anyProcessor() capabilities {
	const all = 0xFFFF_FFFF << 32
	return capabilities{pin: all, proc: all, sec: all, exit: all, entry: all,
		cr0Must: amd64.CR0_PE | amd64.CR0_NE | amd64.CR0_PG, cr0May: 0xFFFF_FFFF,
		cr4Must: amd64.CR4_VMXE, cr4May: 0x3767FF, ept: eptAccessedDirty, physicalBits: 39}
}

// validImage is a VMCS of a 64-bit guest that passes.
func validImage() image {
	m := image{pin: pinRequired | pinTimer, proc: procRequired | procTPRShadow, sec: secRequired | secVPID,
		exit: exitRequired | exitSaveTimer, entry: entryRequired | entryIA32e,
		ioA: 0x1000, ioB: 0x2000, msrBitmap: 0x3000, virtualAPIC: 0x4000, apicAccess: 0x5000, eptp: 0x605E, vpid: 1,
		hostCR0: 0x8005_0033, hostCR3: 0x7000, hostCR4: amd64.CR4_VMXE | amd64.CR4_PAE, hostEFER: 0xD01,
		hostSelectors: [7]uint16{0x10, 8, 0x10, 0x10, 0, 0, 0x28}, hostRIP: 0xFFFF_FFFF_8000_0000,
		cr0: 0x8005_0033, cr3: 0x9000, cr4: amd64.CR4_VMXE | amd64.CR4_PAE, efer: 0xD01, dr7: 0x400,
		pat: 0x0007_0406_0007_0406, rip: 0xFFFF_FFFF_8100_0000, rflags: 2, gdtrLimit: 0x7F, link: ^uint64(0)}
	for i := range m.rights {
		m.rights[i], m.limit[i] = 0xC093, 0xFFFF_FFFF
	}
	m.rights[virt.CS] = 0xA09B
	m.rights[virt.LDTR], m.rights[virt.TR], m.limit[virt.TR] = segUnusable, 0x8B, 0x67
	return m
}

func TestCheckPassesWhatIsValid(t *testing.T) {
	c := anyProcessor()
	for name, change := range map[string]func(m *image){
		"64-bit": func(m *image) {},
		"real mode": func(m *image) {
			m.entry, m.efer, m.cr0, m.cr4, m.rip = entryRequired, 0, amd64.CR0_NE, amd64.CR4_VMXE, 0xFFF0
			for i := 0; i <= virt.GS; i++ {
				m.rights[i], m.limit[i] = 0x93, 0xFFFF
			}
			m.base[virt.CS], m.selector[virt.CS] = 0xFFFF_0000, 0xF000
		},
		"PAE": func(m *image) {
			m.entry, m.efer, m.rip, m.rights[virt.CS] = entryRequired, 0, 0x10_0000, 0xC09B
			m.pdpte[0] = 0x1001
		},
		"virtual-8086": func(m *image) {
			m.entry, m.efer, m.rip, m.rflags = entryRequired, 0, 0x100, 2|rflagsVM
			m.cr4 = amd64.CR4_VMXE
			for i := 0; i <= virt.GS; i++ {
				m.rights[i], m.limit[i], m.selector[i], m.base[i] = 0xF3, 0xFFFF, 0x123, 0x1230
			}
		},
		"no data segments": func(m *image) {
			m.rights[virt.DS], m.rights[virt.ES], m.rights[virt.SS] = segUnusable, segUnusable, segUnusable
		},
		"an interrupt": func(m *image) { m.injection, m.rflags = infoValid|32, 2|rflagsIF },
		"#GP":          func(m *image) { m.injection = infoValid | infoError | 0x30D },
		"#UD":          func(m *image) { m.injection = infoValid | 0x306 },
		"single step held back": func(m *image) {
			m.rflags, m.interruptibility, m.pendingDebug = 2|rflagsTF, blockedByMovSS, pendingBS
		},
	} {
		m := validImage()
		change(&m)
		if field, rule := m.check(&c); field != "" || rule != "" {
			t.Errorf("%s: %s: %s", name, field, rule)
		}
	}
}

func TestCheckNamesTheField(t *testing.T) {
	c := anyProcessor()
	c.pin |= 1 << 1
	c.exit &^= 1 << 63
	for _, x := range []struct {
		field string
		spoil func(m *image)
	}{
		{"PIN_BASED_CONTROLS", func(m *image) { m.pin &^= 2 }},
		{"VM_EXIT_CONTROLS", func(m *image) { m.exit |= 1 << 31 }},
		{"VM_EXIT_CONTROLS", func(m *image) { m.pin &^= pinTimer }},
		{"IO_BITMAP_B", func(m *image) { m.ioB++ }},
		{"MSR_BITMAPS", func(m *image) { m.msrBitmap = 1 << 39 }},
		{"TPR_THRESHOLD", func(m *image) { m.tprThreshold = 16 }},
		{"TPR_THRESHOLD", func(m *image) { m.tprThreshold, m.vtpr = 3, 0x20 }},
		{"APIC_ACCESS_ADDRESS", func(m *image) { m.sec |= secAPICAccesses; m.apicAccess = 8 }},
		{"SECONDARY_CONTROLS", func(m *image) { m.proc &^= procTPRShadow; m.sec |= secAPICRegisters }},
		{"VIRTUAL_PROCESSOR_ID", func(m *image) { m.vpid = 0 }},
		{"EPT_POINTER", func(m *image) { m.eptp = 0x6000 }},
		{"VM_ENTRY_INTERRUPTION_INFO", func(m *image) { m.injection = infoValid | 0x30D }},
		{"VM_ENTRY_INTERRUPTION_INFO", func(m *image) { m.injection = infoValid | infoError | 0x306 }},
		{"VM_ENTRY_INTERRUPTION_INFO", func(m *image) { m.injection = infoValid | infoUnblocked | 32 }},
		{"VM_ENTRY_EXCEPTION_ERROR_CODE", func(m *image) { m.injection, m.injectionError = infoValid|infoError|0x30D, 1<<16 }},
		{"VM_ENTRY_INSTRUCTION_LENGTH", func(m *image) { m.injection = infoValid | virt.TypeSoftInt<<8 | 0x80 }},
		{"HOST_CR0", func(m *image) { m.hostCR0 &^= amd64.CR0_NE }},
		{"HOST_CR4", func(m *image) { m.hostCR4 &^= amd64.CR4_VMXE }},
		{"HOST_IA32_EFER", func(m *image) { m.hostEFER = 1 }},
		{"HOST_TR_SELECTOR", func(m *image) { m.hostSelectors[6] = 0 }},
		{"HOST_GS_BASE", func(m *image) { m.hostGS = 1 << 60 }},
		{"host selectors", func(m *image) { m.hostSelectors[0] = 0x13 }},
		{"GUEST_CR0", func(m *image) { m.cr0 &^= amd64.CR0_PE }},
		{"GUEST_CR0", func(m *image) { m.cr0 &^= amd64.CR0_NE }},
		{"GUEST_CR4", func(m *image) { m.cr4 |= 1 << 22 }},
		{"GUEST_CR4", func(m *image) { m.cr4 &^= amd64.CR4_PAE }},
		{"GUEST_CR3", func(m *image) { m.cr3 = 1 << 39 }},
		{"GUEST_DR7", func(m *image) { m.dr7 = 1 << 32 }},
		{"GUEST_IA32_PAT", func(m *image) { m.pat = 2 }},
		{"GUEST_IA32_EFER", func(m *image) { m.efer &^= amd64.EFER_LMA }},
		{"GUEST_IA32_EFER", func(m *image) { m.efer |= amd64.EFER_SVME }},
		{"GUEST_RIP", func(m *image) { m.rip = 1 << 50 }},
		{"GUEST_RIP", func(m *image) { m.rights[virt.CS] = 0xC09B }},
		{"GUEST_RFLAGS", func(m *image) { m.rflags = 0 }},
		{"GUEST_RFLAGS", func(m *image) { m.injection = infoValid | 32 }},
		{"GUEST_CS", func(m *image) { m.rights[virt.CS] |= segUnusable }},
		{"GUEST_CS", func(m *image) { m.rights[virt.CS] |= 1 << 14 }},
		{"GUEST_CS", func(m *image) { m.rights[virt.CS] |= 3 << 5 }},
		{"GUEST_SS", func(m *image) { m.rights[virt.SS] = 0xC091 }},
		{"GUEST_DS", func(m *image) { m.rights[virt.DS] &^= segPresent }},
		{"GUEST_ES", func(m *image) { m.limit[virt.ES] = 0x1000 }},
		{"GUEST_FS", func(m *image) { m.base[virt.FS] = 1 << 47 }},
		{"GUEST_TR", func(m *image) { m.rights[virt.TR] = 0x89 }},
		{"GUEST_TR", func(m *image) { m.rights[virt.TR] |= segUnusable }},
		{"GUEST_LDTR", func(m *image) { m.rights[virt.LDTR] = 0x83 }},
		{"GUEST_GDTR_LIMIT", func(m *image) { m.gdtrLimit = 1 << 16 }},
		{"GUEST_ACTIVITY_STATE", func(m *image) { m.activity = 4 }},
		{"GUEST_INTERRUPTIBILITY_STATE", func(m *image) { m.interruptibility = blockedBySTI }},
		{"GUEST_INTERRUPTIBILITY_STATE", func(m *image) { m.interruptibility = blockedByMovSS; m.injection = infoValid | 0x202 }},
		{"GUEST_INTERRUPTIBILITY_STATE", func(m *image) { m.interruptibility = blockedByNMI; m.injection = infoValid | 0x202 }},
		{"GUEST_PENDING_DEBUG_EXCEPTIONS", func(m *image) { m.rflags, m.interruptibility = 2|rflagsTF, blockedByMovSS }},
		{"VMCS_LINK_POINTER", func(m *image) { m.link = 0 }},
		{"GUEST_PDPTE", func(m *image) {
			m.entry, m.efer, m.rip, m.rights[virt.CS] = entryRequired, 0, 0, 0xC09B
			m.pdpte[3] = 3
		}},
	} {
		m := validImage()
		m.pin |= 2
		x.spoil(&m)
		if field, rule := m.check(&c); field != x.field || rule == "" {
			t.Errorf("want %s, got %q: %s", x.field, field, rule)
		}
	}
}
