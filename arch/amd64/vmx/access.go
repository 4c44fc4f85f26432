package vmx

import (
	"keel/arch/amd64"
	"keel/arch/amd64/virt"
)

// Exit qualification of an EPT violation (SDM 3C table 28-7).
const (
	violationFetch  = 1 << 2
	violationLinear = 1 << 7 // the linear address is known...
	violationFinal  = 1 << 8 // ...and the access was to what it leads to, not to a paging structure
)

// PlainAccess says of the KindMMIO exit that v is at whether an instruction of 64-bit code under
// 4-level paging read or wrote its operand there, and no event was being delivered; and then the RIP
// of the instruction and CR3.
func (v *VCPU) PlainAccess(e *virt.Exit) (rip, cr3 uint64, ok bool) {
	if e.Qual&(violationFetch|violationLinear|violationFinal) != violationLinear|violationFinal || v.injecting {
		return 0, 0, false
	}
	rights, cr4 := vmread2(uint32(GUEST_CS_ACCESS_RIGHTS), uint32(GUEST_CR4))
	if rights&segLong == 0 || cr4&amd64.CR4_LA57 != 0 || v.r32(VM_ENTRY_CONTROLS)&entryIA32e == 0 {
		return 0, 0, false
	}
	rip, cr3 = vmread2(uint32(GUEST_RIP), uint32(GUEST_CR3))
	return rip, cr3 & amd64.PTE_ADDR, true
}
