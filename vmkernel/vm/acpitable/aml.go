package acpitable

import "encoding/binary"

// This file writes the little ACPI machine language that the DSDT needs
// (20.2). Every function returns the bytes of one term.

// Opcodes (20.3).
const (
	opZero     = 0x00
	opOne      = 0x01
	opName     = 0x08
	opByte     = 0x0A
	opWord     = 0x0B
	opDWord    = 0x0C
	opString   = 0x0D
	opQWord    = 0x0E
	opScope    = 0x10
	opBuffer   = 0x11
	opPackage  = 0x12
	opExt      = 0x5B
	opDevice   = 0x82 // after opExt
	rootPrefix = '\\'
)

// join returns the parts one after another.
func join(parts ...[]byte) []byte {
	var b []byte
	for _, p := range parts {
		b = append(b, p...)
	}
	return b
}

// integer returns the shortest constant for v (20.2.3).
func integer(v uint64) []byte {
	switch {
	case v == 0:
		return []byte{opZero}
	case v == 1:
		return []byte{opOne}
	case v <= 0xFF:
		return []byte{opByte, byte(v)}
	case v <= 0xFFFF:
		return le.AppendUint16([]byte{opWord}, uint16(v))
	case v <= 0xFFFFFFFF:
		return le.AppendUint32([]byte{opDWord}, uint32(v))
	}
	return le.AppendUint64([]byte{opQWord}, v)
}

// withLength returns body behind its PkgLength, which counts itself (20.2.4).
// body has less than 1 MiB.
func withLength(body []byte) []byte {
	n := len(body)
	var length []byte
	switch {
	case n+1 < 1<<6:
		length = []byte{byte(n + 1)}
	case n+2 < 1<<12:
		n += 2
		length = []byte{1<<6 | byte(n&0xF), byte(n >> 4)}
	default:
		n += 3
		length = []byte{2<<6 | byte(n&0xF), byte(n >> 4), byte(n >> 12)}
	}
	return append(length, body...)
}

// path returns a name of one segment, up to 4 characters, that may start at
// the root (20.2.2).
func path(name string) []byte {
	var b []byte
	if name[0] == rootPrefix {
		b, name = append(b, rootPrefix), name[1:]
	}
	return append(b, (name + "____")[:4]...)
}

// named defines name as value: Name (name, value).
func named(name string, value []byte) []byte {
	return join([]byte{opName}, path(name), value)
}

// pack is Package () {elements}.
func pack(elements ...[]byte) []byte {
	return append([]byte{opPackage}, withLength(join([]byte{byte(len(elements))}, join(elements...)))...)
}

// scope is Scope (name) {terms}.
func scope(name string, terms ...[]byte) []byte {
	return append([]byte{opScope}, withLength(join(path(name), join(terms...)))...)
}

// device is Device (name) {terms}.
func device(name string, terms ...[]byte) []byte {
	return append([]byte{opExt, opDevice}, withLength(join(path(name), join(terms...)))...)
}

// eisaID compresses an identifier of three capitals and a product number, in
// big-endian order, to an integer: EisaId ("PNP0501") (19.6.34).
func eisaID(vendor string, product uint16) []byte {
	var v uint16 // 5 bits a letter
	for _, c := range vendor {
		v = v<<5 | uint16(c-'A'+1)
	}
	b := binary.BigEndian.AppendUint16([]byte{opDWord}, v)
	return binary.BigEndian.AppendUint16(b, product)
}

// resources is ResourceTemplate () {descriptors}: a buffer with an end tag,
// whose checksum of 0 means that there is none (6.4.2.9).
func resources(descriptors ...[]byte) []byte {
	b := append(join(descriptors...), 0x79, 0)
	return append([]byte{opBuffer}, withLength(join(integer(uint64(len(b))), b))...)
}

// ioPorts is IO (Decode16, first, first, 1, length) (6.4.2.5).
func ioPorts(first uint16, length uint8) []byte {
	return []byte{0x47, 1, byte(first), byte(first >> 8), byte(first), byte(first >> 8), 1, length}
}

// irqNoFlags is IRQNoFlags () {irq}: edge, active high, exclusive (6.4.2.1).
func irqNoFlags(irq uint) []byte {
	mask := uint16(1) << irq
	return []byte{0x22, byte(mask), byte(mask >> 8)}
}

// text is a string, of ASCII characters (20.2.3).
func text(s string) []byte { return append(append([]byte{opString}, s...), 0) }

// memory32 is Memory32Fixed (ReadWrite, base, length) (6.4.3.4).
func memory32(base, length uint32) []byte {
	b := []byte{0x86, 9, 0, 1}
	return le.AppendUint32(le.AppendUint32(b, base), length)
}

// interrupt is Interrupt (ResourceConsumer, Level, ActiveHigh, Exclusive) {gsi} (6.4.3.6).
func interrupt(gsi uint32) []byte {
	return le.AppendUint32([]byte{0x89, 6, 0, 1, 1}, gsi)
}
