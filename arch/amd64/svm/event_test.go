package svm

import (
	"testing"

	"keel/arch/amd64"
	"keel/arch/amd64/virt"
)

func TestEventInj(t *testing.T) {
	v := machine(t, 0, 0)
	c := v.vmcb()
	for _, x := range []struct {
		name string
		ev   virt.Event
		cr0  uint64
		want uint64
	}{
		{"none", 0, 1, 0},
		{"interrupt", virt.Interrupt(0xEC), 1, 0x800000EC},
		{"NMI", virt.NMI, 1, 0x80000202},
		{"#UD", virt.Exception(6), 1, 0x80000306},
		{"#GP", virt.ExceptionCode(13, 0x18), 1, 0x18_80000B0D},
		{"#GP in real mode", virt.ExceptionCode(13, 0x18), 0, 0x8000030D},
		{"software exception", virt.Event(0x80000603), 1, 0x80000303},
		{"reserved bits", virt.Event(0xFFFF_FFFF_8000_70EC), 1, 0x800000EC},
	} {
		c.CR0 = x.cr0
		v.Inject(x.ev)
		if got := v.eventInj(c); got != x.want {
			t.Errorf("%s: %#x, want %#x", x.name, got, x.want)
		}
	}
}

func TestInterruptedDeliveryIsRepeated(t *testing.T) {
	for _, x := range []struct {
		name string
		info uint64
		want virt.Event
	}{
		{"none", 0x30E, 0},
		{"interrupt", 0x80000031, virt.Interrupt(0x31)},
		{"#PF", 0x2_80000B0E, virt.ExceptionCode(14, 2)},
		{"NMI", 0x80000202, virt.NMI},
		{"INT 80H executes again", 0x80000480, 0},
		{"INT3 executes again", 0x80000303, 0},
	} {
		v := machine(t, 0, 0)
		v.vmcb().ExitIntInfo = x.info
		kind := virt.KindMMIO
		if x.info&eventValid != 0 { // a software interrupt's delivery isn't the instruction's own access either
			kind = virt.KindDelivery
		}
		if e := exit(v, exitNPF, 0, 0); e.Kind != kind || kind == virt.KindDelivery && e.Vector != uint32(x.info&0xFF) {
			t.Errorf("%s: kind %d, vector %d", x.name, e.Kind, e.Vector)
		}
		if v.event != x.want || v.Pending() != (x.want != 0) {
			t.Errorf("%s: %#x, want %#x", x.name, v.event, x.want)
		}
	}
}

// An interrupt goes as a virtual one; what the processor left of it decides what comes next.
func TestInterruptIsOffered(t *testing.T) {
	for _, x := range []struct {
		name  string
		taken bool
		info  uint64 // EXITINTINFO
		want  virt.Event
	}{
		{"taken", true, 0, 0},
		{"not taken", false, 0, virt.Interrupt(0xEC)},
		{"delivery interrupted", true, 0x8000_00EC, virt.Interrupt(0xEC)},
		{"delivery interrupted in QEMU", false, 0x8000_00EC, virt.Interrupt(0xEC)},
	} {
		v := machine(t, everyFeature, 0)
		c := v.vmcb()
		c.Clean = cleanAll
		v.Inject(virt.Interrupt(0xEC))
		v.offer(c)
		if c.EventInj != 0 || c.VIntr != vIntrMasking|vIRQ|vIntrPrio|vIgnTPR|0xEC<<32 || c.InterceptMisc1 != baseMisc1 || c.Clean&cleanTPR != 0 {
			t.Errorf("%s: EVENTINJ %#x, interrupt control %#x, clean %#x", x.name, c.EventInj, c.VIntr, c.Clean)
		}
		if x.taken {
			c.VIntr &^= vIRQ
		}
		c.ExitIntInfo = x.info
		if exit(v, exitINTR, 0, 0); v.event != x.want || c.VIntr != vIntrMasking {
			t.Errorf("%s: %#x is next, want %#x; interrupt control %#x", x.name, v.event, x.want, c.VIntr)
		}
	}

	if n := machine(t, 0, 0).Undelivered(); n != -1 {
		t.Errorf("without an event %#x is undelivered", n)
	}
	undelivered := machine(t, 0, 0)
	if undelivered.Inject(virt.Interrupt(0xEC)); undelivered.Undelivered() != 0xEC {
		t.Error("an interrupt before its entry isn't undelivered")
	}
	if undelivered.Inject(virt.NMI); undelivered.Undelivered() != -1 {
		t.Error("an NMI is taken for an interrupt")
	}

	// The window that was asked for has opened.
	v := machine(t, 0, 0)
	c := v.vmcb()
	v.WantInterruptWindow(true)
	v.Inject(virt.Interrupt(0xEC))
	if v.offer(c); c.EventInj != 0 || c.VIntr&vIRQ == 0 || c.InterceptMisc1 != baseMisc1 {
		t.Errorf("after a window: EVENTINJ %#x, interrupt control %#x", c.EventInj, c.VIntr)
	}

	// V_IRQ is in use for a window.
	v = machine(t, 0, 0)
	c = v.vmcb()
	v.Inject(virt.Interrupt(0xEC))
	v.WantInterruptWindow(true)
	if v.offer(c); c.EventInj != 0x8000_00EC || c.VIntr&vIntrVector != 0 {
		t.Errorf("beside a window: EVENTINJ %#x, interrupt control %#x", c.EventInj, c.VIntr)
	}
}

func TestInterruptible(t *testing.T) {
	v := machine(t, 0, 0)
	c := v.vmcb()
	for _, x := range []struct {
		flags, shadow uint64
		ev            virt.Event
		intr, nmi     bool
	}{
		{flagIF, 0, 0, true, true}, {0, 0, 0, false, true}, {flagIF, 1, 0, false, false},
		{flagIF, 0, virt.Interrupt(32), false, false},
	} {
		c.RFLAGS, c.IntShadow, v.event = x.flags, x.shadow, x.ev
		if v.Interruptible() != x.intr || v.NMIPossible() != x.nmi {
			t.Errorf("%+v: interruptible %v, NMI %v", x, v.Interruptible(), v.NMIPossible())
		}
	}
}

func TestInterruptWindow(t *testing.T) {
	v := machine(t, everyFeature, 0)
	c := v.vmcb()
	c.Clean = cleanAll
	v.WantInterruptWindow(true)
	if c.VIntr&vIRQ == 0 || c.VIntr&vIgnTPR == 0 || c.InterceptMisc1&interceptVINTR == 0 || c.Clean&(cleanI|cleanTPR) != 0 {
		t.Errorf("interrupt control %#x, clean %#x", c.VIntr, c.Clean)
	}
	if e := exit(v, exitVINTR, 0, 0); e.Kind != virt.KindInterruptWindow || c.VIntr != vIntrMasking || c.InterceptMisc1 != baseMisc1 {
		t.Errorf("kind %d, interrupt control %#x", e.Kind, c.VIntr)
	}
	c.Clean = cleanAll
	if v.WantInterruptWindow(false); c.Clean != cleanAll {
		t.Error("asking for what is already so dirties the VMCB")
	}
}

// An NMI stays masked until the guest's IRET has executed, and a second one comes right after it.
func TestNMIMasking(t *testing.T) {
	v := machine(t, 0, 0)
	c := v.vmcb()
	enter := func() { // what Enter does but for the guest itself
		if v.nmi.wanted {
			v.armStep(c)
		}
		v.event = 0
	}
	c.RIP, c.RFLAGS = 0x1000, flagIF
	v.Inject(virt.NMI)
	if c.InterceptMisc1&interceptIRET == 0 || v.NMIPossible() {
		t.Fatal("IRET isn't watched")
	}
	v.WantNMIWindow(true)
	enter()
	if c.RFLAGS&flagTF != 0 {
		t.Error("stepping before IRET")
	}
	c.RIP = 0x2000
	if e := exit(v, exitIRET, 0, 0); e.Kind != virt.KindResume || v.NMIPossible() || c.InterceptMisc1&interceptIRET != 0 {
		t.Errorf("at IRET: kind %d, NMI possible %v", e.Kind, v.NMIPossible())
	}
	enter()
	if c.RFLAGS&flagTF == 0 {
		t.Error("IRET isn't stepped")
	}
	// A host interrupt before it executes changes nothing, and leaves no trace in the guest's flags.
	if exit(v, exitINTR, 0, 0); c.RFLAGS&flagTF != 0 || v.NMIPossible() {
		t.Errorf("flags %#x", c.RFLAGS)
	}
	enter()
	c.RIP, c.RFLAGS, c.DR6 = 0x1000, flagIF, dr6Fixed|dr6BS
	if e := exit(v, exitException+vectorDB, 0, 0); e.Kind != virt.KindNMIWindow || !v.NMIPossible() || c.DR6 != dr6Fixed || v.Pending() {
		t.Errorf("after IRET: kind %d, possible %v, DR6 %#x", e.Kind, v.NMIPossible(), c.DR6)
	}
	if enter(); c.RFLAGS&flagTF != 0 {
		t.Error("still stepping")
	}
}

func TestNMIUnmaskedWithoutStep(t *testing.T) {
	v := machine(t, 0, 0)
	c := v.vmcb()
	v.Inject(virt.NMI)
	v.event = 0
	c.RIP = 0x2000
	exit(v, exitIRET, 0, 0)
	exit(v, exitINTR, 0, 0)
	if v.NMIPossible() {
		t.Error("unmasked although IRET hasn't executed")
	}
	c.RIP = 0x1000
	if exit(v, exitINTR, 0, 0); !v.NMIPossible() {
		t.Error("masked although IRET has executed")
	}
}

func TestShadowIsSteppedForNMI(t *testing.T) {
	v := machine(t, 0, 0)
	c := v.vmcb()
	c.RIP, c.RFLAGS, c.IntShadow = 0x1000, flagIF, 1
	v.WantNMIWindow(true)
	v.armStep(c)
	if c.RFLAGS&flagTF == 0 {
		t.Fatal("not stepped")
	}
	c.RIP, c.IntShadow, c.DR6 = 0x1001, 0, dr6Fixed|dr6BS
	if e := exit(v, exitException+vectorDB, 0, 0); e.Kind != virt.KindNMIWindow || c.RFLAGS != flagIF {
		t.Errorf("kind %d, flags %#x", e.Kind, c.RFLAGS)
	}
}

func TestGuestsOwnExceptionsAreGivenBack(t *testing.T) {
	v := machine(t, 0, 0)
	c := v.vmcb()
	c.CR0, c.DR6, c.DR7 = amd64.CR0_PE, dr6Fixed|1, dr7Fixed|dr7GD|1
	if e := exit(v, exitException+vectorDB, 0, 0); e.Kind != virt.KindResume || v.event != virt.Exception(1) || c.DR6&1 == 0 || c.DR7&dr7GD != 0 {
		t.Errorf("#DB: kind %d, event %#x, DR6 %#x, DR7 %#x", e.Kind, v.event, c.DR6, c.DR7)
	}
	if e := exit(v, exitException+vectorAC, 0, 0); e.Kind != virt.KindResume || v.event != virt.ExceptionCode(17, 0) {
		t.Errorf("#AC: kind %d, event %#x", e.Kind, v.event)
	}
}
