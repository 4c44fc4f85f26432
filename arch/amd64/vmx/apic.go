package vmx

// APIC virtualisation (SDM 3C chapter 30): the guest reads and writes its local APIC in a page, and
// interrupts that the caller puts into that page's IRR are delivered, without an exit. All of it is
// on or none, by APICv; where it is off the functions below do nothing, but for SetTPRThreshold.

// APICv says whether the VCPU has it: Init was given both pages and the processor has TPR shadow,
// APIC accesses, APIC-register virtualisation and virtual-interrupt delivery.
func (v *VCPU) APICv() bool { return v.apicv }

// TPRShadow says whether MOV CR8 reads and writes the virtual-APIC page's TPR without an exit.
func (v *VCPU) TPRShadow() bool { return v.proc&procTPRShadow != 0 }

// SetTPRThreshold makes the guest exit with KindTPR once bits 7:4 of its TPR fall below n, 0 to 15,
// under a TPR shadow without APICv. n must not exceed them now.
func (v *VCPU) SetTPRThreshold(n uint8) {
	if v.TPRShadow() && !v.apicv {
		v.w32(TPR_THRESHOLD, uint32(n&15))
	}
}

// RVI is the requesting virtual interrupt: the highest vector in the page's IRR, 0 for none.
func (v *VCPU) RVI() uint8 {
	if !v.apicv {
		return 0
	}
	return uint8(v.r16(GUEST_INTERRUPT_STATUS))
}

// SetRVI says what is now the highest vector in the page's IRR.
func (v *VCPU) SetRVI(vector uint8) {
	if v.apicv {
		v.setStatus(0xFF, uint16(vector))
	}
}

// SetSVI says what is now the highest vector in the page's ISR, as after restoring an APIC.
func (v *VCPU) SetSVI(vector uint8) {
	if v.apicv {
		v.setStatus(0xFF00, uint16(vector)<<8)
	}
}

func (v *VCPU) setStatus(mask, x uint16) {
	old := v.r16(GUEST_INTERRUPT_STATUS)
	if old&mask != x {
		v.w16(GUEST_INTERRUPT_STATUS, old&^mask|x)
	}
}

// SetEOIExit says whether the guest's EOI of vector exits with KindEOI, as a level-triggered one
// must.
func (v *VCPU) SetEOIExit(vector uint8, on bool) {
	i, bit := int(vector>>6), uint64(1)<<(vector&63)
	x := v.eoiExit[i] &^ bit
	if on {
		x |= bit
	}
	if v.apicv && x != v.eoiExit[i] {
		v.setEOIExit(i, x)
	}
}

func (v *VCPU) setEOIExit(i int, x uint64) {
	v.eoiExit[i&3] = x
	v.w64(EOI_EXIT_BITMAP_0+Field64(2*i), x)
}

// MSRs of an x2APIC, from x2APICFirst on, one a register of 16 bytes.
const (
	x2APICFirst = 0x800
	x2APICCount = 64
	x2APICTPR   = 0x808
	x2APICEOI   = 0x80B
	x2APICSelf  = 0x83F
)

// x2APICReads has a bit for each register of an x2APIC whose value in the virtual-APIC page is what
// a read gives: all but those that are write-only, don't exist, or, as the current count, only the
// caller knows. ID, version, TPR, PPR, LDR, SVR, ISR, TMR, IRR, ESR, CMCI, ICR, LVTs, initial count
// and divisor.
const x2APICReads = 1<<0x02 | 1<<0x03 | 1<<0x08 | 1<<0x0A | 1<<0x0D | 1<<0x0F | 0xFF<<0x10 |
	0xFF<<0x18 | 0xFF<<0x20 | 1<<0x28 | 1<<0x2F | 1<<0x30 | 0x3F<<0x32 | 1<<0x38 | 1<<0x3E

// SetX2APICMode says whether the guest reaches its APIC through MSRs instead of the APIC-access page.
func (v *VCPU) SetX2APICMode(on bool) {
	if !v.apicv {
		return
	}
	sec := v.sec &^ (secAPICAccesses | secX2APIC)
	msrs := on && caps.sec>>32&secX2APIC != 0
	switch {
	case msrs:
		sec |= secX2APIC
	case !on:
		sec |= secAPICAccesses
	}
	if sec == v.sec {
		return
	}
	v.sec = sec
	v.w32(SECONDARY_CONTROLS, sec)
	for i := uint32(0); i < x2APICCount; i++ {
		msr := x2APICFirst + i
		write := msr == x2APICTPR || msr == x2APICEOI || msr == x2APICSelf
		v.passMSR(msr, msrs && x2APICReads>>i&1 != 0, msrs && write)
	}
	v.forget()
}
