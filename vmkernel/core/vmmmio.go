package core

import (
	"sync/atomic"

	"keel/arch/amd64"
	"keel/arch/amd64/virt"
	"keel/vmkernel/device/ioapic"
	"keel/vmkernel/device/lapic"
)

// fastMMIO carries out the access to a register of the local APIC or the IOAPIC behind an exit, if it
// is one that operating systems use: a plain MOV of 32 bits in 64-bit code. All others are left to
// the upper half, by false, and so is whatever is doubtful. The guest may have changed its code or
// page tables since the processor read them: then another access to its own registers is what it gets.
func (v *vcpu) fastMMIO(s *virt.State) bool {
	e := &s.Exit
	if p := e.GPA &^ (amd64.PageSize - 1); p != lapic.BaseAddress && p != ioapic.BaseAddress || e.GPA&3 != 0 {
		return false
	}
	rip, cr3, ok := v.plainAccess(e)
	if !ok {
		return false
	}
	lo, hi, ok := v.vm().code(cr3, rip)
	if !ok {
		return false
	}
	mov, imm := decodeMOV(lo, hi)
	if mov == 0 || mov.store() != e.Write {
		return false
	}
	switch r := mov.register(); {
	case mov.immediate():
		v.mmio(e.GPA, true, imm)
	case r == virt.RSP: // not in s
		return false
	case e.Write:
		v.mmio(e.GPA, true, uint32(s.GPR[r]))
	default:
		s.GPR[r] = uint64(uint32(v.mmio(e.GPA, false, 0)))
	}
	e.Len = mov.length()
	return true
}

// A mov is a MOV of 32 bits between memory and a register or immediate: its length in bits 3:0, the
// register in bits 7:4, and whether it is a store and has an immediate. Zero is none.
type mov uint32

const (
	movStore     = 1 << 8
	movImmediate = 1 << 9
)

func (m mov) length() uint32   { return uint32(m & 15) }
func (m mov) register() uint32 { return uint32(m>>4) & 15 }
func (m mov) store() bool      { return m&movStore != 0 }
func (m mov) immediate() bool  { return m&movImmediate != 0 }

// decodeMOV decodes the instruction whose bytes lo and hi hold, the first one lowest, for 64-bit code
// (SDM 2A 2.1, 2.2.1): 89 /r, 8B /r and C7 /0 with an operand in memory, and no prefix but REX
// without W. It is at most 12 bytes long.
func decodeMOV(lo, hi uint64) (m mov, imm uint32) {
	n, rex := mov(0), uint64(0)
	if lo&0xF0 == 0x40 {
		if rex = lo & 15; rex&8 != 0 {
			return 0, 0
		}
		lo, hi, n = lo>>8|hi<<56, hi>>8, 1
	}
	op, mod, rm := lo&0xFF, lo>>14&3, lo>>8&7
	m = mov(lo>>11&7|rex&4<<1) << 4
	length := uint64(2) // of all but REX
	if rm == 4 {
		length = 3
		rm = lo >> 16 & 7 // a SIB byte's base 5 has the same exception
	}
	switch {
	case mod == 3:
		return 0, 0
	case mod == 1:
		length++
	case mod == 2, rm == 5:
		length += 4
	}
	switch op {
	case 0x89:
		m |= movStore
	case 0x8B:
	case 0xC7:
		if lo>>11&7 != 0 {
			return 0, 0
		}
		m |= movStore | movImmediate
		imm = uint32(lo>>(8*length) | hi<<(64-8*length)) // length is 2 to 7
		length += 4
	default:
		return 0, 0
	}
	return m | n + mov(length), imm
}

// code reads the 16 bytes from linear address rip on in 64-bit code under the page tables at cr3 of 4
// levels, without regard to rights. They must lie in one page, and all of it in RAM.
func (m *machine) code(cr3, rip uint64) (lo, hi uint64, ok bool) {
	if int64(rip<<16)>>16 != int64(rip) || rip&(amd64.PageSize-1) > amd64.PageSize-16 {
		return 0, 0, false
	}
	table := cr3 & amd64.PTE_ADDR
	for shift := uint64(39); ; shift -= 9 {
		e, ok := m.word(table + rip>>(shift&63)&511*8)
		if !ok || e&amd64.PTE_P == 0 {
			return 0, 0, false
		}
		if in := uint64(1)<<(shift&63) - 1; shift == amd64.PageShift || shift <= 30 && e&amd64.PTE_PS != 0 {
			gpa := e&amd64.PTE_ADDR&^in | rip&in
			if lo, ok = m.word(gpa); ok {
				hi, ok = m.word(gpa + 8)
			}
			return lo, hi, ok
		}
		table = e & amd64.PTE_ADDR
	}
}

// word reads 8 bytes of the machine's RAM at guest-physical address gpa.
func (m *machine) word(gpa uint64) (x uint64, ok bool) {
	window := m.windowLow
	n := m.low
	if gpa >= highStart {
		gpa -= highStart
		window, n = m.windowHigh, m.high
	}
	if n < 8 || gpa > n-8 {
		return 0, false
	}
	if atomic.LoadUint32(&m.holes) != 0 { // the window has them too
		if gpa&7 != 0 && gpa&(amd64.PageSize-1) > amd64.PageSize-8 {
			return 0, false
		}
		if window == m.windowHigh && m.high != 0 {
			gpa += highStart
		}
		e, level := m.nested(gpa)
		if *e == 0 {
			return 0, false
		}
		in := pieceSize(level) - 1
		return *at[uint64](amd64.DirectMap + uintptr(*e&amd64.PTE_ADDR&^in|gpa&in)), true
	}
	return *at[uint64](window + uintptr(gpa)), true
}
