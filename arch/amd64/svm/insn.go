package svm

import "keel/arch/amd64/virt"

// An opcode is an instruction that leaves the guest: its bytes 23:0, first byte lowest, their number
// 27:24, and its usual length with the prefixes that it always has 31:28.
type opcode uint32

const (
	opCPUID  opcode = 2<<28 | 2<<24 | 0xA20F
	opHLT    opcode = 1<<28 | 1<<24 | 0xF4
	opPAUSE  opcode = 2<<28 | 1<<24 | 0x90 // and F3
	opRDMSR  opcode = 2<<28 | 2<<24 | 0x320F
	opWRMSR  opcode = 2<<28 | 2<<24 | 0x300F
	opINVD   opcode = 2<<28 | 2<<24 | 0x080F
	opWBINVD opcode = 2<<28 | 2<<24 | 0x090F
	opXSETBV opcode = 3<<28 | 3<<24 | 0xD1010F
)

// maxInsn is the longest instruction, bytes.
const maxInsn = 15

// byteAt is byte i, 0 to 15, of 16 that are in two words.
func byteAt(lo, hi uint64, i int) uint8 {
	if i >= 8 {
		lo = hi
	}
	return uint8(lo >> (i & 7 * 8))
}

// prefix is what an instruction's prefixes say: REX in bits 7:0, the index of an overriding segment
// plus one in bits 11:8, and these flags.
type prefix uint32

const (
	prefixREXMask      = 0xFF
	prefixSegmentShift = 8
	prefixSegmentMask  = 0xF << prefixSegmentShift
	prefixAddress      = 1 << 12 // 67H
	prefixLOCK         = 1 << 13
)

// prefixes is the number and meaning of the prefixes among the n bytes of an instruction (APM 3
// 1.2). In 64-bit code REX is one and comes last, or means nothing.
func prefixes(lo, hi uint64, n int, long bool) (i int, p prefix) {
	for i = 0; i < n && i < maxInsn; i++ {
		b := byteAt(lo, hi, i)
		if long && b&0xF0 == 0x40 {
			p = p&^prefixREXMask | prefix(b)
			continue
		}
		segment := prefix(0)
		switch b {
		case 0x66, 0xF2, 0xF3:
		case 0x67:
			p |= prefixAddress
		case 0xF0:
			p |= prefixLOCK
		case 0x26:
			segment = virt.ES + 1
		case 0x2E:
			segment = virt.CS + 1
		case 0x36:
			segment = virt.SS + 1
		case 0x3E:
			segment = virt.DS + 1
		case 0x64:
			segment = virt.FS + 1
		case 0x65:
			segment = virt.GS + 1
		default:
			return i, p
		}
		p &^= prefixREXMask
		if segment != 0 {
			p = p&^prefixSegmentMask | segment<<prefixSegmentShift
		}
	}
	return i, p
}

// length is the length of the instruction op whose first n bytes are in lo and hi, or its usual
// length if the bytes are another's, since the guest can have changed them meanwhile.
func (op opcode) length(lo, hi uint64, n int, long bool) uint32 {
	i, _ := prefixes(lo, hi, n, long)
	size := int(op >> 24 & 0xF)
	if i+size > n {
		return uint32(op >> 28)
	}
	for j := 0; j < size; j++ {
		if byteAt(lo, hi, i+j) != uint8(op>>(8*j)) {
			return uint32(op >> 28)
		}
	}
	return uint32(i + size)
}

// moveCR takes MOV to (0F 22 /r) or from (0F 20 /r) a control register apart: the control register's
// number, that of the general register, and the length; ok is false if the bytes are another
// instruction's.
func moveCR(lo, hi uint64, n int, long, write bool) (cr, gpr int, length uint32, ok bool) {
	op := uint8(0x20)
	if write {
		op = 0x22
	}
	i, p := prefixes(lo, hi, n, long)
	if i+3 > n || byteAt(lo, hi, i) != 0x0F || byteAt(lo, hi, i+1) != op {
		return 0, 0, 0, false
	}
	modrm := int(byteAt(lo, hi, i+2))
	rex := int(p & prefixREXMask)
	cr = modrm>>3&7 | rex<<1&8
	gpr = modrm&7 | rex<<3&8
	if p&prefixLOCK != 0 {
		cr |= 8 // APM 3, MOV CRn
	}
	return cr, gpr, uint32(i + 3), true
}
