package svm

import (
	"testing"

	"keel/arch/amd64/virt"
)

func words(b ...byte) (lo, hi uint64, n int) {
	for i, x := range b {
		lo, hi = setByte(lo, hi, i, x)
	}
	return lo, hi, len(b)
}

func TestLength(t *testing.T) {
	for _, c := range []struct {
		name  string
		op    opcode
		long  bool
		bytes []byte
		want  uint32
	}{
		{"CPUID", opCPUID, true, []byte{0x0F, 0xA2, 0x90}, 2},
		{"REX.W CPUID", opCPUID, true, []byte{0x48, 0x0F, 0xA2}, 3},
		{"CPUID with operand size and REX", opCPUID, true, []byte{0x66, 0x41, 0x0F, 0xA2}, 4},
		{"HLT", opHLT, false, []byte{0xF4}, 1},
		{"HLT with 14 prefixes", opHLT, true, []byte{0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0xF4}, 15},
		{"HLT after 40H is INC in 32-bit code", opHLT, false, []byte{0x40, 0xF4}, 1},
		{"PAUSE", opPAUSE, true, []byte{0xF3, 0x90}, 2},
		{"REP REX PAUSE", opPAUSE, true, []byte{0xF3, 0x48, 0x90}, 3},
		{"XSETBV", opXSETBV, true, []byte{0x0F, 0x01, 0xD1}, 3},
		{"WBNOINVD", opWBINVD, true, []byte{0xF3, 0x0F, 0x09}, 3},
		{"INVD with a segment", opINVD, false, []byte{0x2E, 0x0F, 0x08}, 3},
		{"other bytes by now", opRDMSR, true, []byte{0x48, 0x89, 0xC0}, 2},
		{"cut off", opWRMSR, true, []byte{0x48, 0x0F}, 2},
		{"unreadable", opXSETBV, true, nil, 3},
		{"prefixes only", opCPUID, true, []byte{0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66}, 2},
	} {
		lo, hi, n := words(c.bytes...)
		if got := c.op.length(lo, hi, n, c.long); got != c.want {
			t.Errorf("%s: length %d, want %d", c.name, got, c.want)
		}
	}
}

func TestPrefixes(t *testing.T) {
	for _, c := range []struct {
		bytes []byte
		long  bool
		n     int
		want  prefix
	}{
		{[]byte{0x6F}, true, 0, 0},
		{[]byte{0x65, 0x6F}, true, 1, (virt.GS + 1) << prefixSegmentShift},
		{[]byte{0x65, 0x2E, 0x67, 0x6F}, false, 3, (virt.CS+1)<<prefixSegmentShift | prefixAddress},
		{[]byte{0x48, 0x66, 0x6F}, true, 2, 0}, // REX before another prefix means nothing
		{[]byte{0xF0, 0x44, 0x0F}, true, 2, prefixLOCK | 0x44},
	} {
		lo, hi, n := words(c.bytes...)
		if n, got := prefixes(lo, hi, n, c.long); n != c.n || got != c.want {
			t.Errorf("% x: %d prefixes, %#x, want %d, %#x", c.bytes, n, got, c.n, c.want)
		}
	}
}

func TestMoveCR(t *testing.T) {
	for _, c := range []struct {
		bytes []byte
		write bool
		cr    int
		gpr   int
		len   uint32
	}{
		{[]byte{0x0F, 0x22, 0xE0}, true, 4, virt.RAX, 3},
		{[]byte{0x0F, 0x22, 0x27}, true, 4, virt.RDI, 3}, // the mod field means nothing
		{[]byte{0x41, 0x0F, 0x22, 0xE7}, true, 4, virt.R15, 4},
		{[]byte{0x44, 0x0F, 0x22, 0xC1}, true, 8, virt.RCX, 4},
		{[]byte{0x44, 0x0F, 0x20, 0xC3}, false, 8, virt.RBX, 4},
		{[]byte{0xF0, 0x0F, 0x22, 0xC6}, true, 8, virt.RSI, 4},
	} {
		lo, hi, n := words(c.bytes...)
		cr, gpr, length, ok := moveCR(lo, hi, n, true, c.write)
		if !ok || cr != c.cr || gpr != c.gpr || length != c.len {
			t.Errorf("% x: CR%d, register %d, length %d, %v", c.bytes, cr, gpr, length, ok)
		}
	}
	for _, b := range [][]byte{nil, {0x0F, 0x22}, {0x0F, 0x20, 0xE0}, {0x90, 0x22, 0xE0}} {
		lo, hi, n := words(b...)
		if _, _, _, ok := moveCR(lo, hi, n, true, true); ok {
			t.Errorf("% x was taken for MOV to a control register", b)
		}
	}
}

func FuzzLength(f *testing.F) {
	f.Add(uint64(0xA20F), uint64(0), uint8(2), true)
	f.Add(uint64(0x6666666666666666), uint64(0x66666666666666), uint8(15), false)
	f.Fuzz(func(t *testing.T, lo, hi uint64, n uint8, long bool) {
		have := int(n % 16)
		for _, op := range []opcode{opCPUID, opHLT, opPAUSE, opXSETBV} {
			if l := op.length(lo, hi, have, long); l == 0 || l > maxInsn {
				t.Errorf("%#x: length %d", op, l)
			}
		}
		if _, gpr, l, ok := moveCR(lo, hi, have, long, true); ok && (gpr > 15 || int(l) > have) {
			t.Errorf("register %d, length %d of %d", gpr, l, have)
		}
	})
}
