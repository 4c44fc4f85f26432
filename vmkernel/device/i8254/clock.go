package i8254

import "math/bits"

const second = 1000000000 // ns

// ticks is the number of clock periods up to now (ns). Mul64's high word is below Hz, thus below second: no overflow.
func ticks(now uint64) uint64 {
	hi, lo := bits.Mul64(now, Hz)
	t, _ := bits.Div64(hi, lo, second)
	return t
}

// nanos is the first nanosecond of tick t: the least n with ticks(n) == t. It is Never for ticks after the end of time.
func nanos(t uint64) uint64 {
	hi, lo := bits.Mul64(t, second)
	lo, carry := bits.Add64(lo, Hz-1, 0)
	hi += carry
	if hi >= Hz {
		return Never
	}
	n, _ := bits.Div64(hi, lo, Hz)
	return n
}
