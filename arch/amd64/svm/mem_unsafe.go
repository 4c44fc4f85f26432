package svm

import (
	"unsafe"

	"keel/arch/amd64/virt"
)

// Offsets in virt.State that the assembly uses, by way of go_asm.h.
const (
	offGPR = unsafe.Offsetof(virt.State{}.GPR)
	offX14 = unsafe.Offsetof(virt.State{}.X14)
	offX15 = unsafe.Offsetof(virt.State{}.X15)
)

// vmcb is the control block, through the direct map.
func (v *VCPU) vmcb() *VMCB { return (*VMCB)(unsafe.Add(nil, v.mem+v.control)) }

// word is the 8-byte word at a physical address that is a multiple of 8.
func (v *VCPU) word(pa uint64) *uint64 { return (*uint64)(unsafe.Add(nil, v.mem+pa)) }

// word32 is the 4-byte word at a physical address that is a multiple of 4.
func (v *VCPU) word32(pa uint64) *uint32 { return (*uint32)(unsafe.Add(nil, v.mem+pa)) }
