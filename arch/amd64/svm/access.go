package svm

import (
	"keel/arch/amd64"
)

// EXITINFO1 of a nested page fault (APM 2 15.25.6).
const (
	faultFetch = 1 << 4
	faultFinal = 1 << 32 // the access was to what the linear address leads to, not to a page table
)

// PlainAccess says of the KindMMIO exit that v is at whether an instruction of 64-bit code under
// 4-level paging read or wrote its operand there, and no event was being delivered; and then the RIP
// of the instruction and CR3.
func (v *VCPU) PlainAccess() (rip, cr3 uint64, ok bool) {
	c := v.vmcb()
	if c.ExitInfo1&(faultFetch|faultFinal) != faultFinal || v.event.Valid() || !c.long() || c.CR4&amd64.CR4_LA57 != 0 {
		return 0, 0, false
	}
	return c.RIP, c.CR3 & amd64.PTE_ADDR, true
}
