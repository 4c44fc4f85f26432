package mmio

import "math/bits"

// alu returns what do makes of the operands a (destination) and b (source) of
// size bytes, and the flags after it (SDM 2, the instructions' "Flags
// affected"; AF, where it is undefined, is cleared as processors do). For Cmp
// and Test the result is not written. Bits above size are 0 in a, b and r.
func alu(do Action, a, b uint64, size uint8, flags uint64) (r, after uint64) {
	top := uint(8*size - 1)
	carry := flags & flagCF
	switch do {
	case Inc, Dec:
		b = 1
	case Neg:
		a, b = 0, a
	}
	switch do {
	case Add, Adc, Inc, Xadd:
		if do != Adc {
			carry = 0
		}
		r = (a + b + carry) & ones(size)
		after = (a&b | (a|b)&^r) >> top & 1 // carry out
		after |= (a ^ r) & (b ^ r) >> top & 1 * flagOF
		after |= (a ^ b ^ r) & flagAF
	case Sub, Sbb, Cmp, Dec, Neg, Cmpxchg:
		if do != Sbb {
			carry = 0
		}
		r = (a - b - carry) & ones(size)
		after = (^a&b | (^a|b)&r) >> top & 1 // borrow
		after |= (a ^ b) & (a ^ r) >> top & 1 * flagOF
		after |= (a ^ b ^ r) & flagAF
	case And, Test:
		r = a & b
	case Or:
		r = a | b
	case Xor:
		r = a ^ b
	case Not:
		return ^a & ones(size), flags
	default:
		return bitOp(do, a, b, size, flags)
	}
	if do == Inc || do == Dec {
		after = after&^flagCF | flags&flagCF
	}
	if r == 0 {
		after |= flagZF
	}
	after |= r >> top & 1 * flagSF
	if bits.OnesCount8(uint8(r))%2 == 0 {
		after |= flagPF
	}
	return r, flags&^flagsArith | after
}

// bitOp is alu for BT, BTS, BTR and BTC: CF gets the bit, other flags stay.
func bitOp(do Action, a, b uint64, size uint8, flags uint64) (r, after uint64) {
	n := b & uint64(8*size-1)
	r = a
	switch do {
	case Bts:
		r |= 1 << n
	case Btr:
		r &^= 1 << n
	case Btc:
		r ^= 1 << n
	}
	return r, flags&^flagCF | a>>n&1
}
