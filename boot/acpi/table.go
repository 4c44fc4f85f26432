package acpi

import "keel/boot/physmem"

const (
	headerSize = 36       // bytes of the header that all tables but RSDP and FACS have (5.2.6)
	maxLength  = 16 << 20 // bytes; the largest known are DSDTs of under 1 MiB
)

// table is a table whose bytes are all readable. Its own reads give 0 beyond its length, which is
// what ACPI says of fields that an older revision doesn't have.
type table struct {
	mem    physmem.Memory
	at     uint64
	length uint32
}

func (b table) u8(off uint32) uint8 {
	if !b.has(off, 1) {
		return 0
	}
	return b.mem.U8(b.at + uint64(off))
}

func (b table) u16(off uint32) uint16 {
	if !b.has(off, 2) {
		return 0
	}
	return b.mem.U16(b.at + uint64(off))
}

func (b table) u32(off uint32) uint32 {
	if !b.has(off, 4) {
		return 0
	}
	return b.mem.U32(b.at + uint64(off))
}

func (b table) u64(off uint32) uint64 {
	if !b.has(off, 8) {
		return 0
	}
	return b.mem.U64(b.at + uint64(off))
}

func (b table) has(off, n uint32) bool {
	return n <= b.length && off <= b.length-n
}

// open checks the table at address and enters it into the directory. want is the name it must have,
// or 0 for any. What is wrong is recorded, and ok is false.
func (t *Tables) open(mem physmem.Memory, address uint64, want Signature) (b table, s Signature, ok bool) {
	if address == 0 || !mem.Holds(address, headerSize) {
		t.bad(want, address, Unreadable)
		return b, want, false
	}
	s = Signature(mem.U32(address))
	length := mem.U32(address + 4)
	fault := Fault(0)
	sum, readable := mem.Sum8(address, uint64(min(length, maxLength)))
	switch {
	case want != 0 && s != want:
		fault = WrongName
	case length < headerSize || length > maxLength:
		fault = BadLength
	case !readable:
		fault = Unreadable
	case sum != 0:
		fault = BadChecksum
	}
	if fault != 0 {
		t.bad(s, address, fault)
		return b, s, false
	}
	if t.NumTables < MaxTables {
		e := &t.Directory[t.NumTables]
		e.Address, e.Length, e.Signature = address, length, s
		t.NumTables++
	} else {
		t.Dropped++
	}
	return table{mem, address, length}, s, true
}
