package core

import (
	"keel/arch/amd64"
	"keel/arch/amd64/virt"
)

// kvmclock (Linux Documentation/virt/kvm/x86/msr.rst): a structure in the guest's memory from which
// it computes its time by the time-stamp counter. The host's counter is constant and the same on
// all processors, so it is written once, when the guest says where.

// setClock is a write of the system-time MSR: bit 0 enables, the rest is a guest-physical address.
func (v *vcpu) setClock(x uint64) bool {
	v.clockMSR = x
	if x&1 == 0 {
		return true
	}
	pa, ok := v.guestPhys(x&^1, 32)
	if !ok {
		return false
	}
	mult, shift := clockScale()
	p := amd64.DirectMap + uintptr(pa)
	v.clockVersion += 2
	*at[uint32](p) = v.clockVersion - 1
	tsc := v.guestTSC()
	*at[uint64](p + 8) = tsc                                        // tsc_timestamp
	*at[uint64](p + 16) = tscToNS(tsc-v.tscOffset) - v.vm().startNS // system_time, ns
	*at[uint32](p + 24) = mult
	*at[int8](p + 28) = shift
	*at[uint8](p + 29) = 1 // PVCLOCK_TSC_STABLE_BIT
	*at[uint32](p) = v.clockVersion
	return true
}

// clockScale is the multiplier and shift with which ns = (ticks << shift) * mult >> 32.
func clockScale() (mult uint32, shift int8) {
	hz := tscHz
	for hz > 2_000_000_000 {
		hz >>= 1
		shift--
	}
	for hz <= 1_000_000_000 {
		hz <<= 1
		shift++
	}
	return uint32((1_000_000_000 << 32) / hz), shift
}

// setWallClock is a write of the wall-clock MSR: the date of boot goes to that address.
func (v *vcpu) setWallClock(x uint64) bool {
	v.wallMSR = x
	pa, ok := v.guestPhys(x, 12)
	if !ok {
		return false
	}
	p := amd64.DirectMap + uintptr(pa)
	ns := wallOffset + v.vm().startNS
	*at[uint32](p) = 1
	*at[uint32](p + 4) = uint32(ns / 1e9)
	*at[uint32](p + 8) = uint32(ns % 1e9)
	*at[uint32](p) = 2
	return true
}

// guestPhys is where n bytes of the guest's memory, within a page and aligned to 4, are. Where memory isn't there yet the
// exit becomes one of a guest that touched it: the upper half has it populated, and the guest tries again.
func (v *vcpu) guestPhys(gpa, n uint64) (pa uint64, ok bool) {
	if gpa&3 != 0 || gpa&(amd64.PageSize-1)+n > amd64.PageSize {
		return 0, false
	}
	if isAMD {
		pa, ok = v.svm.HostPhys(gpa)
	} else {
		pa, ok = v.vmx.HostPhys(gpa)
	}
	if !ok && v.vm().isRAM(gpa, n) {
		e := &v.shared().State.Exit
		e.Kind, e.GPA = virt.KindMMIO, gpa
	}
	return pa, ok
}
