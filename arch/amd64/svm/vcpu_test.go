package svm

import (
	"testing"

	"keel/arch/amd64"
	"keel/arch/amd64/virt"
)

func TestIntercepts(t *testing.T) {
	c := machine(t, everyFeature, pageAPIC).vmcb()
	bit := func(word uint32, n int, what string, want bool) {
		t.Helper()
		if (word>>n&1 != 0) != want {
			t.Errorf("intercept of %s: %v", what, !want)
		}
	}
	for n, what := range map[int]string{0: "INTR", 1: "NMI", 3: "INIT", 15: "RDPMC", 18: "CPUID", 19: "RSM", 22: "INVD", 23: "PAUSE",
		24: "HLT", 26: "INVLPGA", 27: "IOIO", 28: "MSR", 29: "task switch", 30: "FERR", 31: "shutdown"} {
		bit(c.InterceptMisc1, n, what, true)
	}
	for n, what := range map[int]string{2: "SMI", 4: "VINTR", 14: "RDTSC", 16: "PUSHF", 20: "IRET", 21: "INTn", 25: "INVLPG"} {
		bit(c.InterceptMisc1, n, what, false)
	}
	for n, what := range map[int]string{0: "VMRUN", 1: "VMMCALL", 2: "VMLOAD", 3: "VMSAVE", 4: "STGI", 5: "CLGI", 6: "SKINIT",
		9: "WBINVD", 10: "MONITOR", 11: "MWAIT", 13: "XSETBV"} {
		bit(c.InterceptMisc2, n, what, true)
	}
	for n, what := range map[int]string{1: "#DB", 17: "#AC", 18: "#MC"} {
		bit(c.InterceptException, n, what, true)
	}
	bit(c.InterceptException, 14, "#PF", false)
	bit(c.InterceptCR, 16+4, "writes of CR4", true)
	bit(c.InterceptCR, 16+8, "writes of CR8", false)
	bit(c.InterceptCR, 16+3, "writes of CR3", false)
	if c.VIntr != vIntrMasking || c.NestedControl != 1 || c.ASID != 3 || c.PauseCount == 0 || c.PauseThreshold == 0 {
		t.Errorf("interrupt control %#x, nested paging %#x, ASID %d", c.VIntr, c.NestedControl, c.ASID)
	}
	if c := machine(t, 0, 0).vmcb(); c.InterceptCR>>8&1 == 0 || c.InterceptCR>>24&1 == 0 || c.PauseCount != 0 || c.LBRControl != 0 {
		t.Errorf("without an APIC page and features: CR intercepts %#x", c.InterceptCR)
	}
}

func TestPermissionMaps(t *testing.T) {
	v := machine(t, 0, 0)
	for pa := uint64(pageIOPM); pa < pageIOPM+iopmSize; pa += 8 {
		if *v.word(pa) != ^uint64(0) {
			t.Fatalf("port map has a hole at %#x", pa-pageIOPM)
		}
	}
	open := map[uint32]bool{0x174: true, 0x175: true, 0x176: true, 0xC0000081: true, 0xC0000082: true, 0xC0000083: true,
		0xC0000084: true, 0xC0000100: true, 0xC0000101: true, 0xC0000102: true}
	for r, base := range []uint32{0, 0xC000_0000, 0xC001_0000} {
		for i := uint32(0); i < 0x2000; i++ {
			at := uint64(r)*0x800 + uint64(i/4)
			bits := *v.word(pageMSRPM + at&^7) >> (at & 7 * 8) >> (i % 4 * 2) & 3
			if want := uint64(3); open[base+i] {
				if bits != 0 {
					t.Errorf("MSR %#x leaves the guest", base+i)
				}
			} else if bits != want {
				t.Errorf("MSR %#x doesn't leave the guest", base+i)
			}
		}
	}
}

func TestASIDs(t *testing.T) {
	for _, c := range []struct {
		asid, asids, want uint32
		shared            bool
	}{{1, 2, 1, true}, {1, 16, 1, false}, {14, 16, 14, false}, {15, 16, 15, true}, {4000, 16, 15, true}, {4000, 32768, 4000, false}} {
		v := machine(t, 0, 0)
		cfg := &virt.Config{Control: pageVMCB, MSRBitmap: pageMSRPM, IOBitmap: pageIOPM, NestedRoot: pageNPT, ASID: c.asid}
		if why := v.init(v.mem, cfg, 0, c.asids); why != "" || v.vmcb().ASID != c.want || v.shared != c.shared {
			t.Errorf("ASID %d of %d: %s, %d, shared %v", c.asid, c.asids, why, v.vmcb().ASID, v.shared)
		}
	}
	v := machine(t, 0, 0)
	for _, cfg := range []virt.Config{{}, {Control: pageVMCB, MSRBitmap: pageMSRPM, IOBitmap: pageIOPM, NestedRoot: pageNPT},
		{Control: pageVMCB + 8, MSRBitmap: pageMSRPM, IOBitmap: pageIOPM, NestedRoot: pageNPT, ASID: 1}} {
		if why := v.init(v.mem, &cfg, 0, 16); why == "" {
			t.Errorf("%+v was accepted", cfg)
		}
	}
}

// exit puts an exit into the VMCB and decodes it.
func exit(v *VCPU, code uint64, info1, info2 uint64) *virt.Exit {
	c := v.vmcb()
	c.ExitCode, c.ExitInfo1, c.ExitInfo2 = code, info1, info2
	s := &virt.State{}
	v.Decode(s)
	c.ExitIntInfo = 0
	return &s.Exit
}

func TestDecode(t *testing.T) {
	v := machine(t, featNP, pageAPIC)
	c := v.vmcb()
	c.CR0, c.CR4, c.RIP = amd64.CR0_PE, amd64.CR4_OSXSAVE, 0x1000
	store(t, v, 0x1000, 0x66, 0x0F, 0xA2)
	for _, x := range []struct {
		code, info1, info2 uint64
		want               virt.Exit
	}{
		{code: exitINTR, want: virt.Exit{Kind: virt.KindHostInterrupt}},
		{code: exitNMI, want: virt.Exit{Kind: virt.KindHostNMI}},
		{code: exitException + vectorMC, want: virt.Exit{Kind: virt.KindMachineCheck}},
		{code: exitCPUID, want: virt.Exit{Kind: virt.KindCPUID, Len: 3}},
		{code: exitHLT, want: virt.Exit{Kind: virt.KindHLT, Len: 1}},
		{code: exitPAUSE, want: virt.Exit{Kind: virt.KindPause, Len: 2}},
		{code: exitMSR, want: virt.Exit{Kind: virt.KindRDMSR, Len: 2}},
		{code: exitMSR, info1: 1, want: virt.Exit{Kind: virt.KindWRMSR, Len: 2}},
		{code: exitXSETBV, want: virt.Exit{Kind: virt.KindXSETBV, Len: 3}},
		{code: exitINVD, want: virt.Exit{Kind: virt.KindNop, Len: 2}},
		{code: exitWBINVD, want: virt.Exit{Kind: virt.KindNop, Len: 2}},
		{code: exitIOIO, info1: 0x3F8<<16 | 1<<4 | 1, info2: 0x1001, want: virt.Exit{Kind: virt.KindIO, Port: 0x3F8, Size: 1, In: true, Len: 1}},
		{code: exitIOIO, info1: 0xCF8<<16 | 1<<6, info2: 0x1002, want: virt.Exit{Kind: virt.KindIO, Port: 0xCF8, Size: 4, Len: 2}},
		{code: exitIOIO, info1: 0x1F0<<16 | 1<<5 | 1<<3 | 1<<2 | 1 | 1<<8, info2: 0x1003, want: virt.Exit{Kind: virt.KindIO, Port: 0x1F0,
			Size: 2, In: true, String: true, Rep: true, Len: 3, AddrSize: 4, Segment: virt.DS}},
		{code: exitNPF, info1: 6, info2: 0xFEE00080, want: virt.Exit{Kind: virt.KindMMIO, GPA: 0xFEE00080, Write: true}},
		{code: exitNPF, info1: 4, info2: 0xFEE00020, want: virt.Exit{Kind: virt.KindMMIO, GPA: 0xFEE00020}},
		{code: exitShutdown, want: virt.Exit{Kind: virt.KindTripleFault}},
		{code: exitINIT, want: virt.Exit{Kind: virt.KindINIT}},
		{code: exitTaskSwitch, want: virt.Exit{Kind: virt.KindTaskSwitch}},
		{code: exitVMMCALL, want: virt.Exit{Kind: virt.KindUndefined}},
		{code: exitMWAIT, want: virt.Exit{Kind: virt.KindUndefined}},
		{code: exitRDPMC, want: virt.Exit{Kind: virt.KindProtection}},
		{code: exitException + 6, info1: 7, want: virt.Exit{Kind: virt.KindException, Vector: 6, ErrCode: 7}},
		{code: exitReadCR, want: virt.Exit{Kind: virt.KindUnknown}},
		{code: 0xFFFF_FFFF, want: virt.Exit{Kind: virt.KindFailedEntry}},
		{code: 0xFFFF_FFFF_FFFF_FFFF, want: virt.Exit{Kind: virt.KindFailedEntry}},
		{code: 0x12345, want: virt.Exit{Kind: virt.KindUnknown}},
	} {
		x.want.Reason, x.want.Qual = uint32(x.code), x.info1
		if got := exit(v, x.code, x.info1, x.info2); *got != x.want {
			t.Errorf("exit %s:\n%+v, want\n%+v", Reason(uint32(x.code)), *got, x.want)
		}
	}
	c.CPL = 3
	if e := exit(v, exitXSETBV, 0, 0); e.Kind != virt.KindProtection {
		t.Errorf("XSETBV of user space: kind %d", e.Kind)
	}
	c.CR4 = 0
	if e := exit(v, exitXSETBV, 0, 0); e.Kind != virt.KindUndefined {
		t.Errorf("XSETBV without OSXSAVE: kind %d", e.Kind)
	}
}

func TestStringIO(t *testing.T) {
	v := machine(t, featNP, pageAPIC)
	c := v.vmcb()
	c.CR0, c.RIP = amd64.CR0_PE, 0x1000
	const outs = 0x1F0<<16 | 1<<4 | 1<<2
	for _, x := range []struct {
		bytes   []byte
		attrib  uint16
		size    uint8
		segment uint8
	}{
		{[]byte{0x6E}, attribL, 8, virt.DS},
		{[]byte{0x67, 0x65, 0x6E}, attribL, 4, virt.GS},
		{[]byte{0x6E}, attribD, 4, virt.DS},
		{[]byte{0x67, 0x6E}, attribD, 2, virt.DS},
		{[]byte{0x26, 0x6E}, 0, 2, virt.ES},
		{[]byte{0x67, 0x6E}, 0, 4, virt.DS},
	} {
		c.EFER, c.CS.Attrib = 0, x.attrib
		if x.attrib == attribL {
			c.EFER = amd64.EFER_LMA
		}
		store(t, v, 0x1000, x.bytes...)
		if e := exit(v, exitIOIO, outs, 0x1001); e.AddrSize != x.size || e.Segment != x.segment {
			t.Errorf("% x: address of %d bytes in segment %d, want %d, %d", x.bytes, e.AddrSize, e.Segment, x.size, x.segment)
		}
	}
}

func TestNRIPIsPreferred(t *testing.T) {
	v := machine(t, everyFeature, 0)
	c := v.vmcb()
	c.RIP, c.NRIP = 0x1000, 0x1005
	if e := exit(v, exitCPUID, 0, 0); e.Len != 5 {
		t.Errorf("length %d, want 5", e.Len)
	}
}

func TestSkip(t *testing.T) {
	v := machine(t, 0, 0)
	c := v.vmcb()
	s := &virt.State{Exit: virt.Exit{Len: 2}}
	c.RIP, c.IntShadow = 0xFFFF_FFFF, 1
	v.Skip(s)
	if c.RIP != 1 || c.IntShadow != 0 || v.Pending() {
		t.Errorf("RIP %#x, shadow %d", c.RIP, c.IntShadow)
	}
	c.RIP, c.EFER, c.CS.Attrib, c.RFLAGS = 0xFFFF_FFFF, amd64.EFER_LMA, attribL, flagTF
	v.Skip(s)
	if c.RIP != 0x1_0000_0001 || v.event != virt.Exception(vectorDB) || c.DR6&dr6BS == 0 {
		t.Errorf("RIP %#x, event %#x, DR6 %#x", c.RIP, v.event, c.DR6)
	}
	c.RIP, s.Exit.Len, c.IntShadow = 0x1000, 0, 1
	if v.Skip(s); c.RIP != 0x1000 || c.IntShadow != 1 {
		t.Error("skipped an instruction of unknown length")
	}
}

func TestHandleCR(t *testing.T) {
	v := machine(t, 0, pageAPIC)
	c := v.vmcb()
	c.CR0, c.EFER, c.CS.Attrib, c.RIP = amd64.CR0_PE, amd64.EFER_LMA, attribL, 0x1000
	const old = amd64.CR4_PAE | amd64.CR4_PGE | amd64.CR4_MCE
	for _, x := range []struct {
		name  string
		val   uint64
		cr3   uint64
		ok    bool
		flush bool
	}{
		{"no change", old, 0, true, false},
		{"PGE off", old &^ amd64.CR4_PGE, 0, true, true},
		{"OSXSAVE on", old | amd64.CR4_OSXSAVE, 0, true, false},
		{"MCE off", old &^ amd64.CR4_MCE, 0, true, false},
		{"PAE off in long mode", old &^ amd64.CR4_PAE, 0, false, false},
		{"VMXE", old | amd64.CR4_VMXE, 0, false, false},
		{"high bits", old | 1<<40, 0, false, false},
		{"PCIDE", old | amd64.CR4_PCIDE, 0x1000, true, true},
		{"PCIDE with a PCID", old | amd64.CR4_PCIDE, 0x1001, false, false},
	} {
		v.storeCR4(c, old)
		c.CR3, c.RIP, v.flush, c.Clean = x.cr3, 0x1000, false, cleanAll
		c.CR0 = amd64.CR0_PE
		store(t, v, 0x1000, 0x0F, 0x22, 0xE2) // MOV CR4, RDX
		s := &virt.State{}
		s.GPR[virt.RDX] = x.val
		c.ExitCode = exitWriteCR + 4
		v.Decode(s)
		if s.Exit.Kind != virt.KindCR || v.HandleCR(s) != x.ok {
			t.Errorf("%s: kind %d, ok %v", x.name, s.Exit.Kind, !x.ok)
			continue
		}
		want := uint64(old)
		if x.ok {
			want = x.val
		}
		if v.CR4() != want || c.CR4 != want|amd64.CR4_MCE || s.Exit.Len != 3 || v.flush != x.flush || x.ok && c.Clean&cleanCRx != 0 {
			t.Errorf("%s: CR4 %#x of %#x, length %d, flush %v, clean %#x", x.name, v.CR4(), c.CR4, s.Exit.Len, v.flush, c.Clean)
		}
	}
}

// The guest may believe that it switched machine checks off; it reads what it wrote.
func TestMachineChecksStayOn(t *testing.T) {
	v := machine(t, 0, pageAPIC)
	c := v.vmcb()
	s := longMode()
	s.CR4 &^= amd64.CR4_MCE
	if v.SetState(s); c.CR4&amd64.CR4_MCE == 0 || c.InterceptCR&interceptCR4Read == 0 {
		t.Fatalf("CR4 %#x, intercepts %#x", c.CR4, c.InterceptCR)
	}
	c.CR0, c.EFER, c.CS.Attrib, c.RIP = amd64.CR0_PE, amd64.EFER_LMA, attribL, 0x1000
	store(t, v, 0x1000, 0x0F, 0x20, 0xE1) // MOV RCX, CR4
	c.ExitCode = exitReadCR + 4
	v.Decode(s)
	if !v.HandleCR(s) || s.GPR[virt.RCX] != s.CR4 {
		t.Errorf("kind %d, the guest reads %#x", s.Exit.Kind, s.GPR[virt.RCX])
	}
	s.CR4 |= amd64.CR4_MCE
	if v.SetState(s); c.InterceptCR&interceptCR4Read != 0 {
		t.Error("reads of CR4 leave the guest without need")
	}
}

func TestTaskPriority(t *testing.T) {
	v := machine(t, 0, pageAPIC)
	c := v.vmcb()
	if v.SetTPRThreshold(3); c.InterceptCR&interceptCR8Write == 0 {
		t.Error("writes of CR8 don't leave the guest")
	}
	c.CR0, c.RIP = amd64.CR0_PE, 0x1000
	c.EFER, c.CS.Attrib = amd64.EFER_LMA, attribL
	store(t, v, 0x1000, 0x44, 0x0F, 0x22, 0xC0)
	s := &virt.State{}
	for _, x := range []struct {
		val  uint64
		kind virt.Kind
		tpr  uint32
		rip  uint64
	}{{5, virt.KindResume, 0x50, 0x1004}, {2, virt.KindTPR, 0x20, 0x1004}, {16, virt.KindProtection, 0x20, 0x1000}} {
		c.RIP, c.ExitCode, s.GPR[virt.RAX] = 0x1000, exitWriteCR+8, x.val
		v.Decode(s)
		if s.Exit.Kind != x.kind || *v.word32(pageAPIC + 0x80) != x.tpr || uint32(c.VIntr&vTPR)<<4 != x.tpr || c.RIP != x.rip {
			t.Errorf("CR8 = %d: kind %d, TPR %#x, V_TPR %d, RIP %#x", x.val, s.Exit.Kind, *v.word32(pageAPIC + 0x80), c.VIntr&vTPR, c.RIP)
		}
	}
	// A value that the caller put into the page reaches the processor.
	*v.word32(pageAPIC + 0x80) = 0x73
	if v.loadTPR(c); c.VIntr&vTPR != 7 {
		t.Errorf("V_TPR %d, want 7", c.VIntr&vTPR)
	}
	*v.word32(pageAPIC + 0x80) = 0x20
	v.loadTPR(c)
	if v.SetTPRThreshold(0); c.InterceptCR&interceptCR8Write != 0 {
		t.Error("writes of CR8 still leave the guest")
	}
	// The half of the register that CR8 lacks stays.
	*v.word32(pageAPIC + 0x80) = 0x27
	if v.storeTPR(c); *v.word32(pageAPIC + 0x80) != 0x27 {
		t.Error("the low half of TPR was lost")
	}
	// Without a page CR8 is for core.
	v = machine(t, 0, 0)
	v.vmcb().CR0, v.vmcb().RIP, v.vmcb().EFER, v.vmcb().CS.Attrib = amd64.CR0_PE, 0x1000, amd64.EFER_LMA, attribL
	store(t, v, 0x1000, 0x44, 0x0F, 0x20, 0xC3)
	if e := exit(v, exitReadCR+8, 0, 0); e.Kind != virt.KindCR8 || e.Write || e.Vector != virt.RBX || e.Len != 4 {
		t.Errorf("%+v", e)
	}
}

func TestMSRs(t *testing.T) {
	v := machine(t, everyFeature, 0)
	c := v.vmcb()
	s := longMode()
	v.SetState(s)
	for _, x := range []struct {
		idx uint32
		val uint64
		ok  bool
	}{
		{amd64.MSR_EFER, 0xD01, true}, {amd64.MSR_EFER, 0x501, true}, {amd64.MSR_EFER, 0x1D01, false}, {amd64.MSR_EFER, 0xC01, false},
		{amd64.MSR_PAT, 0x0007010600070106, true}, {amd64.MSR_PAT, 0x0007010600070206, false}, {amd64.MSR_PAT, 0x0300000000000000, false},
		{amd64.MSR_LSTAR, 0xFFFF_FFFF_8100_0000, true}, {amd64.MSR_LSTAR, 0x8000_0000_0000, false},
		{amd64.MSR_STAR, ^uint64(0), true}, {amd64.MSR_GS_BASE, 1 << 63, false}, {amd64.MSR_FS_BASE, 0x7FFF_FFFF_FFFF, true},
		{amd64.MSR_KERNEL_GS_BASE, 0xFFFF_8000_0000_0000, true}, {amd64.MSR_SYSENTER_EIP, 1 << 50, false},
		{amd64.MSR_TSC_AUX, 0xFFFF_FFFF, true}, {amd64.MSR_TSC_AUX, 1 << 32, false},
		{amd64.MSR_DEBUGCTL, debugCtlBTF, true}, {amd64.MSR_DEBUGCTL, 1, false}, {amd64.MSR_DEBUGCTL, 0, true},
		{amd64.MSR_APIC_BASE, 0, false}, {0xC001_0117, 0, false}, {0xC000_0080 + 0x10000, 0, false},
	} {
		before, _ := v.GetMSR(s, x.idx)
		if ok := v.SetMSR(s, x.idx, x.val); ok != x.ok {
			t.Errorf("MSR %#x = %#x: %v", x.idx, x.val, ok)
		}
		want := before
		if x.ok {
			want = x.val
		}
		if got, _ := v.GetMSR(s, x.idx); got != want {
			t.Errorf("MSR %#x = %#x reads %#x", x.idx, x.val, got)
		}
		if c.EFER&amd64.EFER_SVME == 0 {
			t.Fatal("EFER.SVME was lost")
		}
	}
	if v.SetMSR(s, msrTSC, 1000); c.TSCOffset == 0 {
		t.Error("writing TSC sets no offset")
	}
	if tsc, ok := v.GetMSR(s, msrTSC); !ok || tsc < 1000 || tsc > 1<<40 {
		t.Errorf("TSC reads %d", tsc)
	}
}

func TestNestedEntries(t *testing.T) {
	for level, want := range []uint64{0x12345000 | 7, 0x12345000 | 7, 0x12345000 | 0x87, 0x12345000 | 0x87} {
		if got := EPTE(0x12345000, level); got != want {
			t.Errorf("level %d: %#x, want %#x", level, got, want)
		}
	}
}

func TestReasons(t *testing.T) {
	for n, want := range map[uint32]string{0: "CR0_READ", 0x14: "CR4_WRITE", 0x37: "DR7_WRITE", 0x4E: "EXCP_PF", 0x52: "EXCP_MC",
		0x60: "INTR", 0x72: "CPUID", 0x78: "HLT", 0x7B: "IOIO", 0x7F: "SHUTDOWN", 0x81: "VMMCALL", 0x89: "WBINVD", 0x8D: "XSETBV",
		0x94: "CR4_WRITE_TRAP", 0xA3: "MCOMMIT", 0x400: "NPF", 0xFFFFFFFF: "INVALID", 0x49: "unknown", 0x12345: "unknown"} {
		if got := Reason(n); got != want {
			t.Errorf("%#x is %s, want %s", n, got, want)
		}
	}
}
