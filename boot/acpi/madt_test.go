package acpi

import (
	"reflect"
	"testing"

	"keel/boot/physmem/memtest"
)

func localAPIC(uid, id uint8, flags uint32) []byte {
	return memtest.Bytes(uint8(0), uint8(8), uid, id, flags)
}

func localX2APIC(id, flags, uid uint32) []byte {
	return memtest.Bytes(uint8(9), uint8(16), uint16(0), id, flags, uid)
}

func ioAPIC(id uint8, address, base uint32) []byte {
	return memtest.Bytes(uint8(1), uint8(12), id, uint8(0), address, base)
}

func override(bus, source uint8, gsi uint32, flags uint16) []byte {
	return memtest.Bytes(uint8(2), uint8(10), bus, source, gsi, flags)
}

func newMADT(flags uint32, structures ...[]byte) []byte {
	body := []any{uint32(0xFEE0_0000), flags}
	for _, s := range structures {
		body = append(body, s)
	}
	return newTable("APIC", 3, body...)
}

func TestMADT(t *testing.T) {
	tables := newMachine(t, newMADT(1,
		memtest.Bytes([]byte{4, 6, 0xFF, 5, 0, 1}), // NMI at LINT1 of all, before the processors
		localAPIC(1, 0, 1), localAPIC(2, 2, 1),
		localAPIC(3, 4, 0),    // disabled
		localAPIC(4, 6, 2),    // may be plugged in later
		localAPIC(5, 0xFF, 1), // no processor
		localX2APIC(2, 1, 2),  // the second one again
		localX2APIC(0x1234, 1, 77),
		localX2APIC(0xFFFF_FFFF, 1, 78),
		memtest.Bytes([]byte{10, 12}, uint16(13), uint32(77), []byte{0, 0, 0, 0}), // NMI at LINT0 of 77
		ioAPIC(9, 0xFEC0_0000, 0), ioAPIC(10, 0xFEC0_1000, 24), ioAPIC(11, 0xFEC0_0000, 0), ioAPIC(12, 0, 0),
		override(0, 0, 2, 0), override(0, 9, 9, 13), override(1, 7, 7, 0),
		memtest.Bytes([]byte{3, 8}, uint16(5), uint32(23)),
		memtest.Bytes([]byte{200, 4, 1, 2}), // unknown: skipped
		memtest.Bytes([]byte{5, 12}, uint16(0), uint64(0x1_FEE0_0000)),
	)).parse(t)
	wantCPUs := []CPU{{0, 1, 5, 1}, {2, 2, 5, 1}, {0x1234, 77, 13, 0}}
	if !reflect.DeepEqual(tables.CPUs[:tables.NumCPUs], wantCPUs) || tables.CPUsDisabled != 2 {
		t.Errorf("processors %+v, %d disabled", tables.CPUs[:tables.NumCPUs], tables.CPUsDisabled)
	}
	if want := []IOAPIC{{0xFEC0_0000, 0, 9}, {0xFEC0_1000, 24, 10}}; !reflect.DeepEqual(tables.IOAPICs[:tables.NumIOAPICs], want) {
		t.Errorf("IOAPICs %+v", tables.IOAPICs[:tables.NumIOAPICs])
	}
	if want := []Override{{2, 0, 0}, {9, 13, 9}}; !reflect.DeepEqual(tables.Overrides[:tables.NumOverrides], want) {
		t.Errorf("overrides %+v", tables.Overrides[:tables.NumOverrides])
	}
	if want := []NMISource{{23, 5}}; !reflect.DeepEqual(tables.NMIs[:tables.NumNMIs], want) {
		t.Errorf("NMI sources %+v", tables.NMIs[:tables.NumNMIs])
	}
	if tables.LocalAPIC != 0x1_FEE0_0000 || tables.Has&Has8259 == 0 || tables.NumBad != 0 {
		t.Errorf("local APIC %#x, has %b, %d bad", tables.LocalAPIC, tables.Has, tables.NumBad)
	}
}

func TestMADTWithoutNMIPins(t *testing.T) {
	tables := newMachine(t, newMADT(0, localAPIC(0, 0, 1), memtest.Bytes([]byte{4, 6, 9, 0, 0, 1}), memtest.Bytes([]byte{4, 6, 0, 0, 0, 2}))).parse(t)
	if tables.CPUs[0].NMIPin != NoPin || tables.Has&Has8259 != 0 {
		t.Errorf("%+v, has %b", tables.CPUs[0], tables.Has)
	}
}

// A malformed structure ends the reading; what stood before it is used.
func TestMalformedMADT(t *testing.T) {
	for name, bytes := range map[string][]byte{
		"length 0":                 {0, 0, 0, 0},
		"length 1":                 {77, 1, 0, 0},
		"beyond the table":         {77, 5, 0, 0},
		"local APIC too short":     {0, 7, 1, 1, 1, 0, 0},
		"local x2APIC too short":   {9, 12, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0},
		"IOAPIC too short":         {1, 8, 0, 0, 0, 0, 0, 0},
		"override too short":       {2, 8, 0, 0, 0, 0, 0, 0},
		"NMI source too short":     {3, 4, 0, 0},
		"local NMI too short":      {4, 4, 0xFF, 0},
		"address too short":        {5, 4, 0, 0},
		"local x2 NMI too short":   {10, 8, 0, 0, 0, 0, 0, 0},
		"half a structure's head":  {0},
		"local APIC over the edge": {0, 8, 1, 1, 1, 0, 0},
	} {
		tables := newMachine(t, newMADT(0, localAPIC(0, 0, 1), memtest.Bytes([]byte{4, 6, 0xFF, 0, 0, 1}), bytes)).parse(t)
		if tables.NumCPUs != 1 || tables.CPUs[0].NMIPin != 1 || !tables.hasBad(MADT, BadContent) {
			t.Errorf("%s: processors %+v, bad %+v", name, tables.CPUs[:tables.NumCPUs], tables.Bad[:tables.NumBad])
		}
	}
	tables := newMachine(t, newTable("APIC", 1, uint32(0xFEE0_0000))).parse(t)
	if tables.Has&HasMADT != 0 || !tables.hasBad(MADT, BadLength) {
		t.Errorf("a MADT without its fixed part: has %b", tables.Has)
	}
}

func TestMADTWithTooMuch(t *testing.T) {
	var structures [][]byte
	for i := range uint32(300) {
		structures = append(structures, localX2APIC(i, 1, i))
	}
	for i := range uint32(20) {
		structures = append(structures, ioAPIC(uint8(i), 0xFEC0_0000+i<<12, i*24), override(0, uint8(i), i, 0),
			memtest.Bytes([]byte{3, 8}, uint16(0), i))
	}
	tables := newMachine(t, newMADT(0, structures...)).parse(t)
	if tables.NumCPUs != 256 || tables.NumIOAPICs != 16 || tables.NumOverrides != 16 || tables.NumNMIs != 16 || tables.Dropped != 44+4+4+4 {
		t.Errorf("%d processors, %d IOAPICs, %d overrides, %d NMIs, %d dropped",
			tables.NumCPUs, tables.NumIOAPICs, tables.NumOverrides, tables.NumNMIs, tables.Dropped)
	}
}

func TestISA(t *testing.T) {
	fadt := newFADT(116, 0, map[int]any{46: uint16(9)})
	for _, c := range []struct {
		name       string
		overrides  []byte
		irq        uint8
		gsi        uint32
		low, level bool
	}{
		{"by itself", nil, 4, 4, false, false},
		{"ACPI's by itself", nil, 9, 9, true, true},
		{"moved", override(0, 0, 2, 0), 0, 2, false, false},
		{"another's override", override(0, 0, 2, 15), 4, 4, false, false},
		{"level, high", override(0, 9, 9, 13), 9, 9, false, true},
		{"ACPI's moved, as the bus has it", override(0, 9, 20, 0), 9, 20, true, true},
		{"edge, low", override(0, 5, 5, 7), 5, 5, true, false},
		{"level, low", override(0, 5, 21, 15), 5, 21, true, true},
	} {
		tables := newMachine(t, newMADT(0, c.overrides), fadt).parse(t)
		if gsi, low, level := tables.ISA(c.irq); gsi != c.gsi || low != c.low || level != c.level {
			t.Errorf("%s: GSI %d, low %v, level %v", c.name, gsi, low, level)
		}
	}
}
