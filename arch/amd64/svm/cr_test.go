package svm

import (
	"testing"

	"keel/arch/amd64"
	"keel/arch/amd64/virt"
)

// What the processor would refuse of CR0 at VMRUN, or raises #GP for, doesn't get there.
func TestWritesOfCR0(t *testing.T) {
	const (
		pe, pg, nw, cd = amd64.CR0_PE, amd64.CR0_PG, amd64.CR0_NW, amd64.CR0_CD
		long           = amd64.CR0_PE | amd64.CR0_PG | amd64.CR0_ET
		lme, lma       = amd64.EFER_LME, amd64.EFER_LME | amd64.EFER_LMA
	)
	for _, x := range []struct {
		name   string
		old    uint64
		efer   uint64
		cr4    uint64
		attrib uint16
		val    uint64
		ok     bool
		want   uint64
		lma    bool
		flush  bool
	}{
		{"WP on", long, lma, amd64.CR4_PAE, attribL, long | amd64.CR0_WP, true, long | amd64.CR0_WP, true, true},
		{"EM on", long, lma, amd64.CR4_PAE, attribL, long | amd64.CR0_EM, true, long | amd64.CR0_EM, true, false},
		{"caches off", long, lma, amd64.CR4_PAE, attribL, long | cd | nw, true, long | cd | nw, true, false},
		{"all ones", long, lma, amd64.CR4_PAE, attribL, ^uint64(0), false, long, true, false},
		{"high bits", long, lma, amd64.CR4_PAE, attribL, long | 1<<36, false, long, true, false},
		{"reserved low bits", long, lma, amd64.CR4_PAE, attribL, long | 0xFF<<8, true, long, true, false},
		{"NW without CD", long, lma, amd64.CR4_PAE, attribL, long | nw, false, long, true, false},
		{"PG without PE", long, lma, amd64.CR4_PAE, attribL, pg, false, long, true, false},
		{"PG off in 64-bit code", long, lma, amd64.CR4_PAE, attribL, pe, false, long, true, false},
		{"PG off with PCIDE", long, lma, amd64.CR4_PAE | amd64.CR4_PCIDE, attribD, pe, false, long, true, false},
		{"PG off", long, lma, amd64.CR4_PAE, attribD, pe, true, pe | amd64.CR0_ET, false, true},
		{"into long mode", pe, lme, amd64.CR4_PAE, attribD, pe | pg, true, long, true, true},
		{"into long mode without PAE", pe, lme, 0, attribD, pe | pg, false, pe, false, false},
		{"into long mode by a 64-bit segment", pe, lme, amd64.CR4_PAE, attribL, pe | pg, false, pe, false, false},
		{"into 32-bit paging", pe, 0, 0, attribD, pe | pg, true, long, false, true},
		{"32 bits of a register", pe, 0, 0, attribD, 1<<40 | pe | pg, true, long, false, true},
	} {
		v := machine(t, 0, pageAPIC)
		c := v.vmcb()
		if c.InterceptMisc1&interceptCR0 == 0 {
			t.Fatal("writes of CR0 don't leave the guest")
		}
		c.CR0, c.EFER, c.CR4, c.CS.Attrib, c.RIP = amd64.CR0_PE, 0, 0, x.attrib, 0x1000
		store(t, v, 0x1000, 0x0F, 0x22, 0xC2) // MOV CR0, RDX
		c.EFER, c.CR4 = x.efer|amd64.EFER_SVME, x.cr4
		s := &virt.State{}
		s.GPR[virt.RDX] = x.val
		c.ExitCode = exitCR0SelWrite
		v.Decode(s) // the instruction is fetched without paging
		c.CR0, v.flush, c.Clean = x.old, false, cleanAll
		if ok := v.HandleCR(s); s.Exit.Kind != virt.KindCR || s.Exit.Len != 3 || ok != x.ok {
			t.Errorf("%s: kind %d, length %d, ok %v", x.name, s.Exit.Kind, s.Exit.Len, ok)
		}
		if c.CR0 != x.want || c.EFER&amd64.EFER_LMA != 0 != x.lma || v.flush != x.flush || x.ok && c.Clean&cleanCRx != 0 {
			t.Errorf("%s: CR0 %#x, EFER %#x, flush %v, clean %#x", x.name, c.CR0, c.EFER, v.flush, c.Clean)
		}
	}
}

// LMSW is left to the processor, by itself.
func TestLMSWIsTheProcessors(t *testing.T) {
	v := machine(t, 0, pageAPIC)
	c := v.vmcb()
	c.CR0, c.CS.Attrib, c.RIP = amd64.CR0_PE, attribD, 0x1000
	store(t, v, 0x1000, 0x0F, 0x01, 0xF0) // LMSW AX
	if e := exit(v, exitCR0SelWrite, 0, 0); e.Kind != virt.KindResume || c.InterceptMisc1&interceptCR0 != 0 || c.Clean&cleanI != 0 {
		t.Errorf("%+v, intercepts %#x", e, c.InterceptMisc1)
	}
	if exit(v, exitHLT, 0, 0); c.InterceptMisc1&interceptCR0 == 0 {
		t.Error("writes of CR0 don't leave the guest any more")
	}
}

// QEMU leaves the guest with a refused entry where MOV CR3 must raise #GP. A state that VMRUN does
// refuse, or a #GP that doesn't come through, is none of that.
func TestCR3WithReservedBits(t *testing.T) {
	v := machine(t, 0, pageAPIC)
	c := v.vmcb()
	s := longMode()
	s.CR0, s.RIP = s.CR0&^amd64.CR0_PG, 0x1000 // the instruction is fetched without paging
	v.SetState(s)
	c.EFER |= amd64.EFER_LMA
	v.physBits = 40
	store(t, v, 0x1000, 0x0F, 0x22, 0xDA) // MOV CR3, RDX
	c.ExitCode = exitInvalid
	for _, x := range []struct {
		name     string
		val      uint64
		asid     uint32
		injected bool
		entered  uint64
		kind     virt.Kind
	}{
		{"reserved bits", 1 << 40, 1, false, 0x1000, virt.KindProtection},
		{"reserved bits after an event", 1 << 40, 1, true, 0xFF0, virt.KindProtection},
		{"no reserved bits", 0x3000, 1, false, 0x1000, virt.KindFailedEntry},
		{"refused ASID", 1 << 40, 0, false, 0x1000, virt.KindFailedEntry},
		{"refused event", 1 << 40, 1, true, 0x1000, virt.KindFailedEntry},
	} {
		s.GPR[virt.RDX], c.ASID = x.val, x.asid
		v.injected, v.entered = x.injected, x.entered
		if v.Decode(s); s.Exit.Kind != x.kind {
			field, rule := v.Check()
			t.Errorf("%s: kind %d, want %d (%s %s)", x.name, s.Exit.Kind, x.kind, field, rule)
		}
	}
}
