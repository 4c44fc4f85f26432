package pmtimer

import "math/bits"

// Hz is the counter's frequency in ticks a second.
const Hz = 3579545

const second = 1000000000 // ns

// ticks is the unbounded count at now (ns). Mul64's high word is below Hz, thus below second, so Div64 can't overflow.
func ticks(now uint64) uint64 {
	hi, lo := bits.Mul64(now, Hz)
	t, _ := bits.Div64(hi, lo, second)
	return t
}

// Count is the register TMR_VAL at now (ns): 32 bits, so FADT must have TMR_VAL_EXT set. It wraps every 1,200 s.
func Count(now uint64) uint32 { return uint32(ticks(now)) }

// Read is what a read of size bytes (1, 2 or 4) at offset off (0 to 3) from the register's first port returns. Bytes beyond
// the register read as ones.
func Read(off, size uint32, now uint64) uint32 {
	v := ^uint64(0)
	if off < 4 {
		v = (uint64(0xFFFFFFFF)<<32 | uint64(Count(now))) >> (8 * off)
	}
	if size < 4 {
		v &= 1<<(8*size) - 1
	}
	return uint32(v)
}

// Toggles counts the changes of the counter's top bit up to now (ns). ACPI sets TMR_STS in PM1_STS at each (4.8.3.1.1):
// whoever owns that register compares two results.
func Toggles(now uint64) uint64 { return ticks(now) >> 31 }
