package vmx

import (
	"testing"

	"keel/arch/amd64"
	"keel/arch/amd64/virt"
)

func TestAdjust(t *testing.T) {
	for _, c := range []struct {
		name               string
		required, optional uint32
		may, must          uint64
		value              uint32
		ok                 bool
	}{
		{"what is required and allowed", 5, 0, 7, 0, 5, true},
		{"what the processor insists on", 1, 0, 0x17, 0x16, 0x17, true},
		{"optional and allowed", 1, 6, 3, 0, 3, true},
		{"optional and refused", 1, 8, 3, 0, 1, true},
		{"required and refused", 9, 0, 3, 0, 9, false},
	} {
		value, ok := adjust(c.required, c.optional, c.may<<32|c.must)
		if value != c.value || ok != c.ok {
			t.Errorf("%s: %#x, %v; want %#x, %v", c.name, value, ok, c.value, c.ok)
		}
	}
}

// Widths and types are in the encodings themselves (SDM 3C 25.11.2).
func TestEncodingsAreOfTheirWidth(t *testing.T) {
	check := func(width uint32, fields ...uint32) {
		for _, f := range fields {
			if f>>13&3 != width || f&^0x6FFE != 0 {
				t.Errorf("field %#x isn't of width %d", f, width)
			}
		}
	}
	check(0, uint32(VIRTUAL_PROCESSOR_ID), uint32(GUEST_INTERRUPT_STATUS), uint32(HOST_TR_SELECTOR), uint32(GUEST_ES_SELECTOR))
	check(1, uint32(IO_BITMAP_A), uint32(EPT_POINTER), uint32(VMCS_LINK_POINTER), uint32(GUEST_PDPTE0)+6, uint32(HOST_IA32_EFER), uint32(EOI_EXIT_BITMAP_0)+6)
	check(2, uint32(PIN_BASED_CONTROLS), uint32(EXIT_REASON), uint32(VMX_PREEMPTION_TIMER_VALUE), uint32(HOST_IA32_SYSENTER_CS))
	check(3, uint32(CR0_GUEST_HOST_MASK), uint32(EXIT_QUALIFICATION), uint32(GUEST_RIP), uint32(HOST_RIP))
	for _, c := range []struct{ got, want uint32 }{
		{uint32(GUEST_ES_SELECTOR) + 2*virt.TR, 0x080E},
		{uint32(GUEST_ES_BASE) + 2*virt.TR, uint32(GUEST_GDTR_BASE) - 2},
		{uint32(GUEST_ES_BASE) + 2*virt.FS, uint32(GUEST_FS_BASE)},
		{uint32(GUEST_ES_LIMIT) + 2*virt.TR, uint32(GUEST_GDTR_LIMIT) - 2},
		{uint32(GUEST_ES_ACCESS_RIGHTS) + 2*virt.CS, uint32(GUEST_CS_ACCESS_RIGHTS)},
		{uint32(GUEST_ES_ACCESS_RIGHTS) + 2*virt.TR, uint32(GUEST_TR_ACCESS_RIGHTS)},
		{uint32(HOST_ES_SELECTOR) + 2*6, uint32(HOST_TR_SELECTOR)},
	} {
		if c.got != c.want {
			t.Errorf("a segment's field is %#x, want %#x", c.got, c.want)
		}
	}
}

func TestEveryKnownReasonHasANameAndAKind(t *testing.T) {
	if len(kinds) > len(reasons) {
		t.Errorf("%d kinds, %d names", len(kinds), len(reasons))
	}
	for n, k := range kinds {
		if k&^more >= uint8(virt.Kinds) {
			t.Errorf("reason %d has kind %d of %d", n, k, virt.Kinds)
		}
		if k != 0 && reasons[n] == "" {
			t.Errorf("reason %d has no name", n)
		}
	}
	if uint8(virt.Kinds) > more {
		t.Errorf("%d kinds don't fit beside the mark", virt.Kinds)
	}
	for n, want := range map[uint32]string{10: "CPUID", 48: "EPT violation", entryFailure | 33: "entry failure: invalid guest state",
		VMfail: "entry refused", 35: "unknown exit", 500: "unknown exit"} {
		if got := Reason(n); got != want {
			t.Errorf("Reason(%#x) = %q, want %q", n, got, want)
		}
	}
}

// Without VMX a VMREAD is an invalid opcode: these exits need none.
func TestDecodeOfExitsWithoutDetail(t *testing.T) {
	var v VCPU
	for reason, want := range map[uint32]virt.Kind{1: virt.KindHostInterrupt, 2: virt.KindTripleFault, 7: virt.KindInterruptWindow,
		10: virt.KindCPUID, 12: virt.KindHLT, 13: virt.KindNop, 15: virt.KindProtection, 18: virt.KindUndefined,
		31: virt.KindRDMSR, 32: virt.KindWRMSR, 40: virt.KindPause, 55: virt.KindXSETBV} {
		s := virt.State{Exit: virt.Exit{Kind: virt.Kind(kinds[reason]), Reason: reason}} // as enter leaves it
		v.Decode(&s)
		if s.Exit.Kind != want {
			t.Errorf("reason %d is kind %d, want %d", reason, s.Exit.Kind, want)
		}
	}
}

// What enter reads the length of is what there is to skip.
func TestLengthIsReadWhereAnInstructionIsSkipped(t *testing.T) {
	for n, k := range kinds {
		switch virt.Kind(k &^ more) {
		case virt.KindCPUID, virt.KindHLT, virt.KindPause, virt.KindIO, virt.KindRDMSR, virt.KindWRMSR,
			virt.KindXSETBV, virt.KindCR, virt.KindCR8, virt.KindNop:
			if n > 63 || uint64(lengthReasons)>>n&1 == 0 {
				t.Errorf("the length of reason %d, %s, isn't read", n, reasons[n])
			}
		}
	}
}

func TestIOQualification(t *testing.T) {
	for q, want := range map[uint64]virt.Exit{
		0x03F8_0000:         {Port: 0x3F8, Size: 1},
		0x03FD_0008:         {Port: 0x3FD, Size: 1, In: true},
		0x0CFC_004B:         {Port: 0xCFC, Size: 4, In: true},
		0xFFFF_0031:         {Port: 0xFFFF, Size: 2, String: true, Rep: true},
		7<<32 | 0x0060_0018: {Port: 0x60, Size: 1, In: true, String: true},
	} {
		e := virt.Exit{Size: 9, In: true, String: true, Rep: true, Port: 7}
		ioQualification(&e, q)
		if e != want {
			t.Errorf("%#x: %+v, want %+v", q, e, want)
		}
	}
}

func TestStringInfo(t *testing.T) {
	for _, c := range []struct {
		info          uint32
		size, segment uint8
	}{{0, 2, virt.ES}, {1<<7 | 3<<15, 4, virt.DS}, {2<<7 | 5<<15, 8, virt.GS}} {
		if size, segment := stringInfo(c.info); size != c.size || segment != c.segment {
			t.Errorf("%#x: %d, %d; want %d, %d", c.info, size, segment, c.size, c.segment)
		}
	}
}

func TestTimerUnits(t *testing.T) {
	for _, c := range []struct {
		ticks uint64
		rate  uint
		want  uint32
	}{{0, 5, 0}, {1, 0, 1}, {1, 5, 1}, {32, 5, 1}, {33, 5, 2}, {^uint64(0), 0, timerOff - 1}, {^uint64(0), 31, timerOff - 1}, {1 << 36, 5, 1 << 31}} {
		if got := timerUnits(c.ticks, c.rate); got != c.want {
			t.Errorf("%d ticks at rate %d: %d, want %d", c.ticks, c.rate, got, c.want)
		}
	}
}

func TestPendingDebug(t *testing.T) {
	for _, c := range []struct {
		rflags  uint64
		blocked uint32
		want    uint64
	}{{2, blockedBySTI, 0}, {rflagsTF, 0, 0}, {rflagsTF, blockedByNMI, 0}, {rflagsTF, blockedBySTI, pendingBS}, {rflagsTF, blockedByMovSS, pendingBS}} {
		if got := pendingDebug(c.rflags, c.blocked); got != c.want {
			t.Errorf("RFLAGS %#x, blocked %#x: %#x, want %#x", c.rflags, c.blocked, got, c.want)
		}
	}
}

func TestDebugStatus(t *testing.T) {
	const reset = 0xFFFF_0FF0
	for _, c := range []struct{ dr6, q, want uint64 }{
		{reset, dr6BS, reset | dr6BS},
		{reset | 5, 2, reset | 2},
		{reset | dr6BS, dr6BD | 1<<16 | 1<<63, reset | dr6BS | dr6BD},
	} {
		if got := debugStatus(c.dr6, c.q); got != c.want {
			t.Errorf("DR6 %#x, #DB %#x: %#x, want %#x", c.dr6, c.q, got, c.want)
		}
	}
}

func TestIsFault(t *testing.T) {
	for vector, want := range map[uint8]bool{0: true, 1: false, 3: false, 4: false, 6: true, 8: false, 13: true, 14: true, 18: false} {
		if isFault(vector) != want {
			t.Errorf("isFault(%d) = %v", vector, !want)
		}
	}
}

// Nothing is injected over an event that waits for its delivery.
func TestNothingIsInjectedTwice(t *testing.T) {
	v := VCPU{injecting: true, known: knownInterruptible, rflags: rflagsIF}
	if v.Interruptible() || v.NMIPossible() || !v.Pending() {
		t.Error("interruptible while an event is pending")
	}
	v.injecting = false
	if !v.Interruptible() || !v.NMIPossible() || v.Pending() {
		t.Error("not interruptible with IF set and nothing blocking")
	}
	for _, blocked := range []uint32{blockedBySTI, blockedByMovSS} {
		v.interruptibility = blocked
		if v.Interruptible() || v.NMIPossible() {
			t.Errorf("interruptible while %#x blocks", blocked)
		}
	}
	v.interruptibility = blockedByNMI
	if !v.Interruptible() || v.NMIPossible() {
		t.Error("blocked NMIs block just NMIs")
	}
	v.rflags = 0
	if v.Interruptible() {
		t.Error("interruptible with IF clear")
	}
}

func TestEPTE(t *testing.T) {
	for level, want := range []uint64{0x7, 0x77, 0xF7, 0xF7} {
		if got := EPTE(0x40000000, level); got != 0x40000000|want {
			t.Errorf("EPTE(1 GiB, %d) = %#x, want flags %#x", level, got, want)
		}
	}
	defer func(old capabilities) { caps = old }(caps)
	caps.ept = 0
	if got := EPTPointer(0x5000); got != 0x501E {
		t.Errorf("EPTPointer = %#x", got)
	}
	caps.ept = eptAccessedDirty
	if got := EPTPointer(0x5000); got != 0x505E {
		t.Errorf("EPTPointer with A/D = %#x", got)
	}
}

func TestBitmapBit(t *testing.T) {
	for msr, want := range map[uint32][2]uint64{0: {0, 0}, 0x174: {0x28, 0x34}, 0x1FFF: {0x3F8, 63}, 0xC000_0000: {0x400, 0}, 0xC000_0102: {0x420, 2}} {
		if offset, bit := bitmapBit(msr); offset != want[0] || uint64(bit) != want[1] {
			t.Errorf("MSR %#x: %#x bit %d, want %#x bit %d", msr, offset, bit, want[0], want[1])
		}
	}
}

func TestX2APICReads(t *testing.T) {
	for msr, want := range map[uint32]bool{0x800: false, 0x802: true, 0x803: true, 0x808: true, 0x80B: false, 0x80D: true, 0x810: true,
		0x817: true, 0x827: true, 0x828: true, 0x82F: true, 0x830: true, 0x831: false, 0x832: true, 0x837: true, 0x838: true, 0x839: false, 0x83E: true, 0x83F: false} {
		if got := uint64(x2APICReads)>>(msr-x2APICFirst)&1 != 0; got != want {
			t.Errorf("MSR %#x passes: %v", msr, got)
		}
	}
}

func TestLacks(t *testing.T) {
	full := capabilities{
		sec: (secRequired) << 32, misc: miscSavesLMA, ept: eptWalk4 | eptWriteBack | ept2M | eptINVEPT | eptINVEPTAll,
		pin: pinRequired << 32, proc: (procRequired | procWindows) << 32, exit: exitRequired << 32, entry: entryRequired << 32,
	}
	if why := full.lacks(); why != "" {
		t.Fatalf("a full processor: %s", why)
	}
	for want, spoil := range map[string]func(c *capabilities){
		"no EPT":                          func(c *capabilities) { c.sec &^= secEPT << 32 },
		"no unrestricted guest":           func(c *capabilities) { c.sec &^= secUnrestricted << 32 },
		"EPT has no 2 MiB pages":          func(c *capabilities) { c.ept &^= ept2M },
		"EPT has no INVEPT":               func(c *capabilities) { c.ept &^= eptINVEPTAll },
		"VT-x has no virtual NMIs":        func(c *capabilities) { c.pin &^= pinVirtualNMI << 32 },
		"VT-x can't leave CR3 to a guest": func(c *capabilities) { c.proc |= procCR3Load },
		"VT-x can't switch PAT and EFER":  func(c *capabilities) { c.entry &^= entryLoadEFER << 32 },
	} {
		c := full
		spoil(&c)
		if why := c.lacks(); why != want {
			t.Errorf("%q, want %q", why, want)
		}
	}
}

func TestValidMSR(t *testing.T) {
	for _, c := range []struct {
		msr uint32
		x   uint64
		ok  bool
	}{
		{amd64.MSR_LSTAR, 0x0000_7FFF_FFFF_FFFF, true},
		{amd64.MSR_LSTAR, 0x0000_8000_0000_0000, false},
		{amd64.MSR_FS_BASE, 0xFFFF_8000_0000_0000, true},
		{amd64.MSR_KERNEL_GS_BASE, 1 << 63, false},
		{amd64.MSR_SYSENTER_ESP, 1 << 47, false},
		{amd64.MSR_STAR, ^uint64(0), true},
		{amd64.MSR_SFMASK, 1 << 32, false},
		{amd64.MSR_TSC_AUX, 1 << 32, false},
		{amd64.MSR_DEBUGCTL, debugctlBTF, true},
		{amd64.MSR_DEBUGCTL, 1, false},
		{amd64.MSR_PAT, 0x0007_0406_0007_0406, true},
		{amd64.MSR_PAT, 0x0007_0406_0007_0401, true},
		{amd64.MSR_PAT, 0x0007_0406_0007_0402, false},
		{amd64.MSR_PAT, 0x0307_0406_0007_0406, false},
		{amd64.MSR_PAT, 0x0807_0406_0007_0406, false},
	} {
		if validMSR(c.msr, c.x) != c.ok {
			t.Errorf("MSR %#x = %#x: want %v", c.msr, c.x, c.ok)
		}
	}
}

func TestValidCR0(t *testing.T) {
	const pe, pg, pae = amd64.CR0_PE, amd64.CR0_PG, amd64.CR4_PAE
	for _, c := range []struct {
		name                string
		old, cr0, cr4, efer uint64
		cs                  uint32
		ok                  bool
	}{
		{"real mode to protected", 0, pe, 0, 0, 0, true},
		{"paging without protection", 0, pg, 0, 0, 0, false},
		{"NW without CD", pe, pe | amd64.CR0_NW, 0, 0, 0, false},
		{"NW with CD", pe, pe | amd64.CR0_NW | amd64.CR0_CD, 0, 0, 0, true},
		{"32-bit paging", pe, pe | pg, 0, 0, 0, true},
		{"long mode", pe, pe | pg, pae, amd64.EFER_LME, 0, true},
		{"long mode without PAE", pe, pe | pg, 0, amd64.EFER_LME, 0, false},
		{"long mode from a segment with L", pe, pe | pg, pae, amd64.EFER_LME, segLong, false},
		{"paging off in compatibility mode", pe | pg, pe, pae, amd64.EFER_LME | amd64.EFER_LMA, 0, true},
		{"paging off in 64-bit mode", pe | pg, pe, pae, amd64.EFER_LME | amd64.EFER_LMA, segLong, false},
		{"paging off with PCIDs", pe | pg, pe, pae | amd64.CR4_PCIDE, amd64.EFER_LME | amd64.EFER_LMA, 0, false},
		{"WP in 64-bit mode", pe | pg, pe | pg | amd64.CR0_WP, pae, amd64.EFER_LME | amd64.EFER_LMA, segLong, true},
	} {
		if validCR0(c.old, c.cr0, c.cr4, c.efer, c.cs) != c.ok {
			t.Errorf("%s: want %v", c.name, c.ok)
		}
	}
}

func TestValidCR4(t *testing.T) {
	const pae, lma = amd64.CR4_PAE, amd64.EFER_LMA
	for _, c := range []struct {
		name                string
		old, cr4, cr3, efer uint64
		ok                  bool
	}{
		{"PAE in 32-bit mode", 0, pae, 0, 0, true},
		{"no PAE in long mode", pae, 0, 0, lma, false},
		{"VMXE", pae, pae | amd64.CR4_VMXE, 0, lma, false},
		{"protection keys", pae, pae | 1<<22, 0, lma, false},
		{"LA57", 0, amd64.CR4_LA57, 0, 0, false},
		{"beyond 32 bits", pae, pae | 1<<40, 0, lma, false},
		{"PCIDs", pae, pae | amd64.CR4_PCIDE, 0x1000, lma, true},
		{"PCIDs in 32-bit mode", 0, amd64.CR4_PCIDE, 0, 0, false},
		{"PCIDs with CR3's low bits", pae, pae | amd64.CR4_PCIDE, 0x1001, lma, false},
		{"PCIDs stay", pae | amd64.CR4_PCIDE, pae | amd64.CR4_PCIDE | amd64.CR4_SMEP, 0x1001, lma, true},
	} {
		if validCR4(c.old, c.cr4, c.cr3, c.efer) != c.ok {
			t.Errorf("%s: want %v", c.name, c.ok)
		}
	}
}

func TestTheGuestNeverHasTheHostsBitsOfCR0(t *testing.T) {
	if got := realCR0(0x6000_0010); got != amd64.CR0_ET|amd64.CR0_NE {
		t.Errorf("after reset: %#x", got)
	}
	if cr0HostOwned&(amd64.CR0_PE|amd64.CR0_PG|amd64.CR0_TS|amd64.CR0_WP) != 0 {
		t.Error("CR0 bits that change often exit")
	}
	var x uint64 = cr4HostOwned
	if x&amd64.CR4_VMXE == 0 || x&amd64.CR4_MCE == 0 || x&amd64.CR4_LA57 == 0 || x>>32 != 0xFFFF_FFFF || x&amd64.CR4_PGE != 0 {
		t.Errorf("host-owned bits of CR4: %#x", x)
	}
}

func TestValidPDPTE(t *testing.T) {
	for e, want := range map[uint64]bool{0: true, 0x1E6: true, 0x1001: true, 0x1003: false, 0x1101: false, 1<<39 | 1: false, 1<<38 | 0x19: true} {
		if validPDPTE(e, 39) != want {
			t.Errorf("%#x: want %v", e, want)
		}
	}
}
