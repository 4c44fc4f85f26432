package acpi

// AML opcodes (ACPI 20.3).
const (
	amlZero    = 0x00
	amlOne     = 0x01
	amlName    = 0x08
	amlByte    = 0x0A
	amlWord    = 0x0B
	amlDWord   = 0x0C
	amlQWord   = 0x0E
	amlPackage = 0x12
	amlRoot    = '\\'

	s5Name = '_' | 'S'<<8 | '5'<<16 | '_'<<24
)

// readS5 looks for Name(\_S5, Package(){SLP_TYPa, SLP_TYPb, ...}) (7.4.2.6) in a table's AML, by its
// bytes: the object is a constant in every firmware, so no interpreter is needed. Where the same
// bytes stand elsewhere by chance they don't parse as such a package, and the search goes on.
func (t *Tables) readS5(b table) {
	for off := uint32(headerSize + 1); b.has(off, 6); off++ {
		if b.u8(off) != '_' || b.u32(off) != s5Name {
			continue
		}
		before := b.u8(off - 1)
		if before == amlRoot && off > headerSize+1 {
			before = b.u8(off - 2)
		}
		if before != amlName || b.u8(off+4) != amlPackage {
			continue
		}
		if typeA, typeB, ok := sleepTypes(b, off+5); ok {
			t.FADT.SleepTypeA, t.FADT.SleepTypeB = typeA, typeB
			t.Has |= HasS5
			return
		}
	}
}

// sleepTypes reads a package from its PkgLength (20.2.4) on: its first two elements, of 3 bits each.
// A package of one element holds for both registers.
func sleepTypes(b table, off uint32) (typeA, typeB uint8, ok bool) {
	lead := b.u8(off)
	extra := uint32(lead >> 6) // bytes that follow the lead byte
	size := uint32(lead & 0x3F)
	if extra > 0 {
		size &= 0x0F
		for i := range extra {
			size |= uint32(b.u8(off+1+i)) << (4 + 8*i)
		}
	}
	if !b.has(off, size) {
		return 0, 0, false
	}
	body := table{b.mem, b.at, off + size} // the package's end bounds its elements
	off += 1 + extra
	count := body.u8(off)
	if count == 0 {
		return 0, 0, false
	}
	first, next, ok := integer(body, off+1)
	if !ok || first > 7 {
		return 0, 0, false
	}
	if count == 1 {
		return uint8(first), uint8(first), true
	}
	// Elements that are not given are uninitialised; only the first register is then known.
	second, _, ok := integer(body, next)
	if !ok {
		return uint8(first), uint8(first), true
	}
	if second > 7 {
		return 0, 0, false
	}
	return uint8(first), uint8(second), true
}

// integer reads a constant (20.2.3); next is the offset behind it.
func integer(b table, off uint32) (value uint64, next uint32, ok bool) {
	width := uint32(0)
	switch b.u8(off) {
	case amlZero, amlOne:
		return uint64(b.u8(off)), off + 1, b.has(off, 1)
	case amlByte:
		width = 1
	case amlWord:
		width = 2
	case amlDWord:
		width = 4
	case amlQWord:
		width = 8
	default:
		return 0, 0, false
	}
	if !b.has(off+1, width) {
		return 0, 0, false
	}
	for i := range width {
		value |= uint64(b.u8(off+1+i)) << (8 * i)
	}
	return value, off + 1 + width, true
}
