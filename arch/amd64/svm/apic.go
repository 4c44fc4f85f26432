package svm

// The guest's local APIC. AMD's virtual interrupt controller (AVIC) isn't used: the caller models
// the APIC, and of the functions that package vmx has for APIC virtualisation the ones for its task
// priority do something.

// tprOffset is the task-priority register in the APIC page, bits 7:4 of which are CR8.
const tprOffset = 0x80

// APICv says whether the guest's accesses to its APIC and the delivery of interrupts need no exit:
// never.
func (v *VCPU) APICv() bool { return false }

// TPRShadow says whether MOV CR8 reads and writes the TPR of the APIC page without an exit: where
// Init was given one.
func (v *VCPU) TPRShadow() bool { return v.apic != 0 }

// SetTPRThreshold makes the guest exit with KindTPR once bits 7:4 of its TPR fall below n, 0 to 15,
// by a write of CR8, under a TPR shadow.
func (v *VCPU) SetTPRThreshold(n uint8) {
	if v.apic == 0 {
		return
	}
	v.tprLimit = n & 0xF
	v.intercept(v.vmcb(), interceptCR8Write, v.tprLimit != 0)
}

// intercept switches bits of InterceptCR.
func (v *VCPU) intercept(c *VMCB, bits uint32, on bool) {
	cr := c.InterceptCR &^ bits
	if on {
		cr |= bits
	}
	if cr != c.InterceptCR {
		c.InterceptCR = cr
		c.Clean &^= cleanI
	}
}

// loadTPR brings the TPR of the APIC page into CR8.
func (v *VCPU) loadTPR(c *VMCB) {
	if tpr := uint64(*v.word32(v.apic + tprOffset)) >> 4 & vTPR; tpr != c.VIntr&vTPR {
		c.VIntr = c.VIntr&^vTPR | tpr
		c.Clean &^= cleanTPR
	}
}

// storeTPR brings CR8 into the APIC page, where the low half of the TPR, that CR8 lacks, stays if
// nothing changed.
func (v *VCPU) storeTPR(c *VMCB) {
	p := v.word32(v.apic + tprOffset)
	if tpr := uint32(c.VIntr & vTPR); *p>>4&vTPR != tpr {
		*p = tpr << 4
	}
}

// RVI is 0: there is no virtual-interrupt delivery.
func (v *VCPU) RVI() uint8 { return 0 }

// SetRVI does nothing without virtual-interrupt delivery.
func (v *VCPU) SetRVI(vector uint8) {}

// SetSVI does nothing without virtual-interrupt delivery.
func (v *VCPU) SetSVI(vector uint8) {}

// SetEOIExit does nothing without virtual-interrupt delivery.
func (v *VCPU) SetEOIExit(vector uint8, on bool) {}

// SetX2APICMode does nothing: every access to the APIC leaves the guest in either mode.
func (v *VCPU) SetX2APICMode(on bool) {}
