package svm

import "keel/arch/amd64"

// Check looks for what makes VMRUN refuse the VMCB (APM 2 15.5.1) and names the field and the rule
// that it breaks; both are empty where nothing is wrong.
func (v *VCPU) Check() (field, rule string) {
	c := v.vmcb()
	if field, rule = v.checkControl(c); field == "" {
		field, rule = v.checkState(c)
	}
	return field, rule
}

func (v *VCPU) checkState(c *VMCB) (field, rule string) {
	longPaging := c.EFER&amd64.EFER_LME != 0 && c.CR0&amd64.CR0_PG != 0
	switch {
	case c.EFER&amd64.EFER_SVME == 0:
		return "EFER", "SVME must be 1"
	case c.EFER&^(guestEFER|amd64.EFER_SVME) != 0:
		return "EFER", "reserved bits must be 0"
	case c.CR0>>32 != 0:
		return "CR0", "bits 63:32 must be 0"
	case c.CR0&amd64.CR0_NW != 0 && c.CR0&amd64.CR0_CD == 0:
		return "CR0", "NW must be 0 while CD is 0"
	case c.CR0&amd64.CR0_PG != 0 && c.CR0&amd64.CR0_PE == 0:
		return "CR0", "PE must be 1 while PG is 1"
	case c.CR4&^v.cr4 != 0:
		return "CR4", "bits that the processor or the guest hasn't must be 0"
	case c.EFER&amd64.EFER_LMA != 0 && c.CR3&^v.physMask() != 0:
		return "CR3", "bits above the physical address must be 0"
	case longPaging && c.CR4&amd64.CR4_PAE == 0:
		return "CR4", "PAE must be 1 while EFER.LME and CR0.PG are 1"
	case longPaging && c.CS.Attrib&attribL != 0 && c.CS.Attrib&attribD != 0:
		return "CS", "L and D must not both be 1 in long mode"
	case c.DR6>>32 != 0:
		return "DR6", "bits 63:32 must be 0"
	case c.DR7>>32 != 0:
		return "DR7", "bits 63:32 must be 0"
	case !validPAT(c.GPAT):
		return "G_PAT", "each byte must be 0, 1, 4, 5, 6 or 7"
	}
	return "", ""
}

func (v *VCPU) checkControl(c *VMCB) (field, rule string) {
	switch {
	case c.InterceptMisc2&interceptVMRUN == 0:
		return "intercepts", "VMRUN must be intercepted"
	case c.ASID == 0:
		return "ASID", "must not be 0"
	case c.MSRPMBase%amd64.PageSize != 0 || (c.MSRPMBase+msrpmSize-1)&^v.physMask() != 0:
		return "MSRPM_BASE_PA", "must be a page below the end of physical addresses"
	case c.IOPMBase%amd64.PageSize != 0 || (c.IOPMBase+iopmSize-1)&^v.physMask() != 0:
		return "IOPM_BASE_PA", "must be a page below the end of physical addresses"
	case c.NestedControl&nestedPaging == 0:
		return "NP_ENABLE", "must be 1: guests need nested paging"
	case c.NCR3%amd64.PageSize != 0 || c.NCR3&^v.physMask() != 0:
		return "N_CR3", "must be a page below the end of physical addresses"
	}
	if e := c.EventInj; e&eventValid != 0 {
		switch typ, vector := e>>8&7, e&0xFF; {
		case e&^eventMask != 0:
			return "EVENTINJ", "reserved bits must be 0"
		case typ == 1 || typ > 4:
			return "EVENTINJ", "the type is reserved"
		case typ == 3 && (vector == vectorNMI || vector > 31):
			return "EVENTINJ", "an exception's vector must be below 32 and not 2"
		}
	}
	return "", ""
}

// physMask is the bits that a physical address can have.
func (v *VCPU) physMask() uint64 {
	bits := v.physBits
	if bits < 32 || bits > 52 {
		bits = 52
	}
	return 1<<bits - 1
}
