package acpitable

import (
	"bytes"
	"testing"
)

func TestIntegersTakeTheShortestForm(t *testing.T) {
	for _, c := range []struct {
		v    uint64
		want []byte
	}{
		{0, []byte{0}}, {1, []byte{1}}, {2, []byte{0x0A, 2}}, {0xFF, []byte{0x0A, 0xFF}},
		{0x100, []byte{0x0B, 0, 1}}, {0x12345, []byte{0x0C, 0x45, 0x23, 1, 0}},
		{1 << 32, []byte{0x0E, 0, 0, 0, 0, 1, 0, 0, 0}},
	} {
		if got := integer(c.v); !bytes.Equal(got, c.want) {
			t.Errorf("integer(%#x) = % x, want % x", c.v, got, c.want)
		}
	}
}

func TestPkgLengthCountsItselfAtEveryWidth(t *testing.T) {
	for _, n := range []int{0, 1, 62, 63, 64, 4093, 4094, 4095, 70000} {
		b := withLength(make([]byte, n))
		// Decode as 20.2.4 says.
		more, length := int(b[0]>>6), int(b[0]&0x3F)
		if more > 0 {
			length = int(b[0] & 0xF)
			for i := range more {
				length |= int(b[1+i]) << (4 + 8*i)
			}
		}
		if length != len(b) || len(b) != n+1+more {
			t.Errorf("%d bytes: encoded length %d, %d bytes in all with %d more", n, length, len(b), more)
		}
	}
}

func TestTermsAreEncodedAsTheSpecificationSays(t *testing.T) {
	for _, c := range []struct {
		name      string
		got, want []byte
	}{
		// The identifier that 19.6.34 gives as its example, PNP0C09.
		{"EisaId", eisaID("PNP", 0x0C09), []byte{0x0C, 0x41, 0xD0, 0x0C, 0x09}},
		{"rooted name", path(`\_S5`), []byte(`\_S5_`)},
		{"short name", path("A"), []byte("A___")},
		{"IRQNoFlags", irqNoFlags(9), []byte{0x22, 0x00, 0x02}},
		{"IO", ioPorts(0x3F8, 8), []byte{0x47, 1, 0xF8, 3, 0xF8, 3, 1, 8}},
		{"string", text("LNRO0005"), append([]byte{0x0D}, "LNRO0005\x00"...)},
		{"Memory32Fixed", memory32(0xD0000000, 0x1000), []byte{0x86, 9, 0, 1, 0, 0, 0, 0xD0, 0, 0x10, 0, 0}},
		{"Interrupt", interrupt(16), []byte{0x89, 6, 0, 1, 1, 16, 0, 0, 0}},
		{"package", pack(integer(5), integer(0)), []byte{0x12, 5, 2, 0x0A, 5, 0}},
		{"template", resources(irqNoFlags(1)), []byte{0x11, 8, 0x0A, 5, 0x22, 2, 0, 0x79, 0}},
		{"device", device("D", named("_UID", integer(1))),
			[]byte{0x5B, 0x82, 11, 'D', '_', '_', '_', 8, '_', 'U', 'I', 'D', 1}},
	} {
		if !bytes.Equal(c.got, c.want) {
			t.Errorf("%s: % x, want % x", c.name, c.got, c.want)
		}
	}
}
