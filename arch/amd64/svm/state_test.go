package svm

import (
	"testing"

	"keel/arch/amd64"
	"keel/arch/amd64/virt"
)

func TestSegmentConversion(t *testing.T) {
	for _, c := range []struct {
		name   string
		attr   uint32
		limit  uint32
		attrib uint16
	}{
		{"64-bit code", 0xA09B, 0xFFFFFFFF, 0xA9B},
		{"32-bit code", 0xC09B, 0xFFFFFFFF, 0xC9B},
		{"16-bit code", 0x009B, 0xFFFF, 0x09B},
		{"flat data, DPL 3", 0xC0F3, 0xFFFFFFFF, 0xCF3},
		{"data with AVL", 0x1093, 0xFFFF, 0x193},
		{"busy TSS", 0x008B, 0x67, 0x08B},
		{"unusable", 0x10000, 0, 0},
	} {
		from := virt.Segment{Base: 0x1234_5678_9ABC, Limit: c.limit, Attr: c.attr, Selector: 0x2B}
		var mid Segment
		var back virt.Segment
		setSegment(&mid, &from)
		segment(&back, &mid)
		if mid.Attrib != c.attrib || back != from {
			t.Errorf("%s: %+v became %+v and again %+v, attributes want %#x", c.name, from, mid, back, c.attrib)
		}
	}
}

// A segment that is unusable loses its present bit, and one that isn't present is unusable.
func TestUnusableIsNotPresent(t *testing.T) {
	from := virt.Segment{Attr: 0x10093, Limit: 5}
	var mid Segment
	setSegment(&mid, &from)
	if mid.Attrib&attribP != 0 {
		t.Errorf("unusable became present: %#x", mid.Attrib)
	}
	var back virt.Segment
	segment(&back, &mid)
	if back.Attr != 0x10013 {
		t.Errorf("attributes %#x, want 0x10013", back.Attr)
	}
}

func longMode() *virt.State {
	s := &virt.State{
		RIP: 0xFFFF_FFFF_8100_0000, RFLAGS: 0x202, CR0: 0x8005_0033, CR2: 0x1008, CR3: 0x4000, CR4: 0x6B0 | 1<<18,
		EFER: 0xD01, DR6: 0xFFFF_0FF0, DR7: 0x400,
		GDTR: virt.Table{Base: 0xFFFF_8000_0000_1000, Limit: 0x7F}, IDTR: virt.Table{Base: 0xFFFF_8000_0000_2000, Limit: 0xFFF},
		STAR: 1 << 32, LSTAR: 0xFFFF_8000_0000_3000, CSTAR: 0xFFFF_8000_0000_4000, SFMASK: 0x47700, KernelGSBase: 0x7000,
		SysenterCS: 0x10, SysenterESP: 0x20, SysenterEIP: 0x30, PAT: patReset,
	}
	for i := range s.Seg {
		s.Seg[i] = virt.Segment{Base: uint64(i) << 12, Limit: 0xFFFFFFFF, Attr: 0xC093, Selector: 0x18}
	}
	s.Seg[virt.CS].Attr, s.Seg[virt.TR].Attr, s.Seg[virt.TR].Limit = 0xA09B, 0x8B, 0x67
	s.Seg[virt.LDTR] = virt.Segment{Attr: 0x10000}
	s.GPR[virt.RAX], s.GPR[virt.RSP] = 0xAAAA, 0xFFFF_C900_0000_0000
	return s
}

func TestStateSurvives(t *testing.T) {
	v := machine(t, everyFeature, pageAPIC)
	want := longMode()
	want.Interruptibility = blockSTI | blockNMI
	v.SetState(want)
	if c := v.vmcb(); c.EFER&amd64.EFER_SVME == 0 || c.Clean != 0 || c.CPL != 0 {
		t.Errorf("EFER %#x, clean bits %#x, CPL %d", c.EFER, c.Clean, c.CPL)
	}
	got := &virt.State{}
	v.Save(got)
	if *got != *want {
		t.Errorf("saved\n%+v\nwant\n%+v", got, want)
	}
	if field, rule := v.Check(); field != "" {
		t.Errorf("Check: %s: %s", field, rule)
	}
}

func TestPrivilegeLevel(t *testing.T) {
	v := machine(t, 0, 0)
	for _, c := range []struct {
		name   string
		change func(s *virt.State)
		want   uint8
	}{
		{"user", func(s *virt.State) { s.Seg[virt.SS].Attr = 0xC0F3 }, 3},
		{"real mode", func(s *virt.State) { s.CR0, s.Seg[virt.SS].Attr = 0x10, 0xF3 }, 0},
		{"virtual 8086", func(s *virt.State) { s.RFLAGS |= flagVM }, 3},
		{"kernel with a null SS", func(s *virt.State) { s.Seg[virt.SS].Attr = 0x10000 }, 0},
	} {
		s := longMode()
		c.change(s)
		v.SetState(s)
		if got := v.vmcb().CPL; got != c.want {
			t.Errorf("%s: CPL %d, want %d", c.name, got, c.want)
		}
		v.Save(s)
		if got := s.Seg[virt.SS].Attr >> 5 & 3; got != uint32(c.want) {
			t.Errorf("%s: DPL of SS %d, want %d", c.name, got, c.want)
		}
	}
}

func TestCheckNamesTheField(t *testing.T) {
	for _, c := range []struct {
		field string
		spoil func(v *VCPU, c *VMCB)
	}{
		{"EFER", func(v *VCPU, c *VMCB) { c.EFER &^= amd64.EFER_SVME }},
		{"EFER", func(v *VCPU, c *VMCB) { c.EFER |= 1 << 40 }},
		{"CR0", func(v *VCPU, c *VMCB) { c.CR0 |= 1 << 32 }},
		{"CR0", func(v *VCPU, c *VMCB) { c.CR0 |= amd64.CR0_NW }},
		{"CR0", func(v *VCPU, c *VMCB) { c.CR0 &^= amd64.CR0_PE }},
		{"CR4", func(v *VCPU, c *VMCB) { c.CR4 |= amd64.CR4_LA57 }},
		{"CR4", func(v *VCPU, c *VMCB) { c.CR4 &^= amd64.CR4_PAE }},
		{"CR3", func(v *VCPU, c *VMCB) { c.CR3 |= 1 << 50 }},
		{"CS", func(v *VCPU, c *VMCB) { c.CS.Attrib |= attribD }},
		{"DR6", func(v *VCPU, c *VMCB) { c.DR6 |= 1 << 32 }},
		{"DR7", func(v *VCPU, c *VMCB) { c.DR7 |= 1 << 63 }},
		{"G_PAT", func(v *VCPU, c *VMCB) { c.GPAT = 2 }},
		{"intercepts", func(v *VCPU, c *VMCB) { c.InterceptMisc2 = 0 }},
		{"ASID", func(v *VCPU, c *VMCB) { c.ASID = 0 }},
		{"MSRPM_BASE_PA", func(v *VCPU, c *VMCB) { c.MSRPMBase = 1<<48 - 0x1000 }},
		{"IOPM_BASE_PA", func(v *VCPU, c *VMCB) { c.IOPMBase = 1<<48 - 0x2000 }},
		{"NP_ENABLE", func(v *VCPU, c *VMCB) { c.NestedControl = 0 }},
		{"N_CR3", func(v *VCPU, c *VMCB) { c.NCR3 |= 8 }},
		{"EVENTINJ", func(v *VCPU, c *VMCB) { c.EventInj = eventValid | 1<<8 }},
		{"EVENTINJ", func(v *VCPU, c *VMCB) { c.EventInj = eventValid | 3<<8 | vectorNMI }},
		{"EVENTINJ", func(v *VCPU, c *VMCB) { c.EventInj = eventValid | 1<<20 }},
	} {
		v := machine(t, 0, 0)
		v.SetState(longMode())
		c.spoil(v, v.vmcb())
		if field, rule := v.Check(); field != c.field || rule == "" {
			t.Errorf("%s: Check says %q, %q", c.field, field, rule)
		}
		// And Enter refuses before the processor does.
		s := longMode()
		if c.field != "EVENTINJ" && v.Enter(s) {
			t.Errorf("%s: entered", c.field)
		}
		if v.Decode(s); c.field != "EVENTINJ" && s.Exit.Kind != virt.KindFailedEntry {
			t.Errorf("%s: exit kind %d", c.field, s.Exit.Kind)
		}
	}
}
