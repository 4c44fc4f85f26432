package svm

import "keel/arch/amd64"

// Bits of a guest's page-table entries beyond amd64's: large pages of 32-bit paging keep address
// bits 39:32 in bits 20:13 (APM 2 5.2.2).
const (
	ptePSE36Shift = 13
	ptePSE36Mask  = 0xFF
)

// HostPhys is where the nested page table has guest-physical address gpa, and false where nothing
// is mapped. Four levels are walked.
func (v *VCPU) HostPhys(gpa uint64) (pa uint64, ok bool) {
	if gpa>>48 != 0 {
		return 0, false
	}
	table := v.root
	for shift := 39; ; shift -= 9 {
		e := *v.word(table + gpa>>shift&0x1FF<<3)
		switch {
		case e&amd64.PTE_P == 0:
			return 0, false
		case shift == amd64.PageShift || shift <= 30 && e&amd64.PTE_PS != 0:
			in := uint64(1)<<shift - 1
			return e&amd64.PTE_ADDR&^in | gpa&in, true
		}
		table = e & amd64.PTE_ADDR
	}
}

// guestWord is the 8-byte word of the guest at gpa, a multiple of 8.
func (v *VCPU) guestWord(gpa uint64) (w uint64, ok bool) {
	pa, ok := v.HostPhys(gpa &^ 7)
	if !ok {
		return 0, false
	}
	return *v.word(pa), true
}

// GuestPhys walks the guest's own page tables for a linear address, without regard to rights and
// without touching accessed bits: it is for fetching what the processor has just executed.
func (v *VCPU) GuestPhys(linear uint64) (gpa uint64, ok bool) {
	c := v.vmcb()
	long := c.EFER&amd64.EFER_LMA != 0
	if !long {
		linear &= 0xFFFF_FFFF
	}
	switch {
	case c.CR0&amd64.CR0_PG == 0:
		return linear, true
	case long:
		if int64(linear<<16)>>16 != int64(linear) {
			return 0, false
		}
		return v.walk(c.CR3&amd64.PTE_ADDR, linear&(1<<48-1), 39, 30)
	case c.CR4&amd64.CR4_PAE != 0:
		return v.walk(c.CR3&0xFFFF_FFE0, linear, 30, 21)
	}
	return v.walk32(c.CR3&0xFFFF_F000, linear, c.CR4&amd64.CR4_PSE != 0)
}

// walk goes through tables of 8-byte entries, the first one indexed by linear from bit shift on;
// leaves are possible from bit large on.
func (v *VCPU) walk(table, linear uint64, shift, large int) (gpa uint64, ok bool) {
	for ; ; shift -= 9 {
		e, ok := v.guestWord(table + linear>>shift&0x1FF<<3)
		switch {
		case !ok || e&amd64.PTE_P == 0:
			return 0, false
		case shift == amd64.PageShift || shift <= large && e&amd64.PTE_PS != 0:
			in := uint64(1)<<shift - 1
			return e&amd64.PTE_ADDR&^in | linear&in, true
		}
		table = e & amd64.PTE_ADDR
	}
}

// walk32 goes through the two levels of 32-bit paging, with 4-byte entries.
func (v *VCPU) walk32(table, linear uint64, pse bool) (gpa uint64, ok bool) {
	e, ok := v.guestWord32(table + linear>>22<<2)
	if !ok || e&amd64.PTE_P == 0 {
		return 0, false
	}
	if pse && e&amd64.PTE_PS != 0 {
		return e>>ptePSE36Shift&ptePSE36Mask<<32 | e&0xFFC0_0000 | linear&0x3F_FFFF, true
	}
	e, ok = v.guestWord32(e&0xFFFF_F000 + linear>>12&0x3FF<<2)
	if !ok || e&amd64.PTE_P == 0 {
		return 0, false
	}
	return e&0xFFFF_F000 | linear&0xFFF, true
}

func (v *VCPU) guestWord32(gpa uint64) (w uint64, ok bool) {
	w, ok = v.guestWord(gpa)
	return w >> (gpa & 4 * 8) & 0xFFFF_FFFF, ok
}

// Fetch reads the instruction at the guest's RIP: up to 15 bytes, first byte lowest, in lo and hi,
// and how many of them could be read. After a nested page fault it takes them from the processor
// where that gives them.
func (v *VCPU) Fetch() (lo, hi uint64, n int) {
	c := v.vmcb()
	if v.features&featDecodeAssists != 0 && uint32(c.ExitCode) == exitNPF && c.InsnLen != 0 {
		for n < int(c.InsnLen) && n < len(c.Insn) {
			lo, hi = setByte(lo, hi, n, c.Insn[n])
			n++
		}
		return lo, hi, n
	}
	linear := c.RIP
	if !c.long() {
		linear = (c.CS.Base + c.RIP) & 0xFFFF_FFFF
	}
	var w uint64
	for ; n < maxInsn; n++ {
		if n == 0 || linear&7 == 0 {
			gpa, ok := v.GuestPhys(linear)
			if !ok {
				return lo, hi, n
			}
			if w, ok = v.guestWord(gpa); !ok {
				return lo, hi, n
			}
		}
		lo, hi = setByte(lo, hi, n, uint8(w>>(linear&7*8)))
		linear++
	}
	return lo, hi, n
}

// setByte is lo and hi with byte i, which was 0, set to b.
func setByte(lo, hi uint64, i int, b uint8) (uint64, uint64) {
	if i < 8 {
		return lo | uint64(b)<<(i*8), hi
	}
	return lo, hi | uint64(b)<<(i&7*8)
}
