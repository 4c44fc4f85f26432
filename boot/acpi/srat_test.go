package acpi

import (
	"reflect"
	"testing"

	"keel/boot/physmem/memtest"
)

// memoryAffinity is a memory affinity structure.
func memoryAffinity(domain uint32, base, length uint64, flags uint32) []byte {
	return memtest.Bytes(uint8(1), uint8(40), domain, uint16(0), base, length, uint32(0), flags, uint64(0))
}

// localAPICAffinity and x2APICAffinity are structures of processors.
func localAPICAffinity(domain uint32, id uint8, flags uint32) []byte {
	return memtest.Bytes(uint8(0), uint8(16), uint8(domain), id, flags, domain&^0xFF|0xEE, uint32(0))
}

func x2APICAffinity(domain, id, flags uint32) []byte {
	return memtest.Bytes(uint8(2), uint8(24), uint16(0), domain, id, flags, uint64(0))
}

func newSRAT(structures ...[]byte) []byte { return newSRATOf(3, structures...) }

func newSRATOf(revision byte, structures ...[]byte) []byte {
	body := []any{uint32(1), uint64(0)}
	for _, s := range structures {
		body = append(body, s)
	}
	return newTable("SRAT", revision, body...)
}

func TestSRAT(t *testing.T) {
	const gib = 1 << 30
	processor := memtest.Bytes(uint8(0), uint8(16), uint8(1), uint8(0), uint32(1), uint64(0))
	for _, c := range []struct {
		name       string
		structures [][]byte
		want       []Affinity
		bad        bool
	}{
		{"two nodes, one of them in two pieces", [][]byte{processor, memoryAffinity(0, 0, 0xA0000, 1), memoryAffinity(0, 1<<20, gib-1<<20, 1),
			memoryAffinity(7, gib, gib, 5)}, []Affinity{{0, 0xA0000, 0}, {1 << 20, gib - 1<<20, 0}, {gib, gib, 7}}, false},
		{"disabled and empty ones", [][]byte{memoryAffinity(0, 0, gib, 0), memoryAffinity(1, gib, 0, 1), memoryAffinity(2, 0, gib, 3)},
			[]Affinity{{0, gib, 2}}, false},
		{"up to the end of the address space", [][]byte{memoryAffinity(0, 1<<63, 1<<63, 1)}, []Affinity{{1 << 63, 1 << 63, 0}}, false},
		{"one that wraps", [][]byte{memoryAffinity(0, 0, gib, 1), memoryAffinity(1, 1<<63, 1<<63+1, 1)}, nil, true},
		{"overlapping ones", [][]byte{memoryAffinity(0, 0, gib+1, 1), memoryAffinity(1, gib, gib, 1)}, nil, true},
		{"too short a structure", [][]byte{memoryAffinity(0, 0, gib, 1), {1, 39}}, []Affinity{{0, gib, 0}}, true},
		{"a structure without length", [][]byte{memoryAffinity(0, 0, gib, 1), {9, 0}}, []Affinity{{0, gib, 0}}, true},
		{"none", nil, nil, false},
	} {
		tables := newMachine(t, newSRAT(c.structures...)).parse(t)
		got := append([]Affinity(nil), tables.Affinities[:tables.NumAffinities]...)
		if !reflect.DeepEqual(got, c.want) || tables.Has&HasSRAT != 0 != (c.want != nil) || tables.hasBad(SRAT, BadContent) != c.bad {
			t.Errorf("%s: %+v, has %b, bad %v", c.name, got, tables.Has, tables.Bad[:tables.NumBad])
		}
	}
	if tables := newMachine(t, newTable("SRAT", 3, uint32(1))).parse(t); !tables.hasBad(SRAT, BadLength) {
		t.Error("one without its fixed part is sound")
	}
	var many [][]byte
	for i := range uint64(MaxAffinities + 3) {
		many = append(many, memoryAffinity(uint32(i), i*gib, gib, 1))
	}
	if tables := newMachine(t, newSRAT(many...)).parse(t); tables.NumAffinities != MaxAffinities || tables.Dropped != 3 {
		t.Errorf("%d of too many, %d dropped", tables.NumAffinities, tables.Dropped)
	}
}

func TestSRATProcessors(t *testing.T) {
	memory := memoryAffinity(0, 0, 1<<30, 1)
	for _, c := range []struct {
		name       string
		structures [][]byte
		want       []CPUDomain
		bad        bool
	}{
		{"of both types", [][]byte{localAPICAffinity(0, 0, 1), localAPICAffinity(0x123456, 2, 1), x2APICAffinity(7, 300, 1)},
			[]CPUDomain{{0, 0}, {2, 0x123456}, {300, 7}}, false},
		{"disabled ones", [][]byte{localAPICAffinity(1, 1, 0), x2APICAffinity(1, 2, 2)}, nil, false},
		{"one twice", [][]byte{localAPICAffinity(1, 1, 1), x2APICAffinity(1, 1, 1)}, []CPUDomain{{1, 1}}, false},
		{"one in two domains", [][]byte{localAPICAffinity(1, 1, 1), x2APICAffinity(2, 1, 1)}, nil, true},
		{"too short", [][]byte{localAPICAffinity(1, 1, 1), {2, 23}}, []CPUDomain{{1, 1}}, true},
	} {
		tables := newMachine(t, newSRAT(append([][]byte{memory}, c.structures...)...)).parse(t)
		got := append([]CPUDomain(nil), tables.CPUDomains[:tables.NumCPUDomains]...)
		if !reflect.DeepEqual(got, c.want) || tables.hasBad(SRAT, BadContent) != c.bad {
			t.Errorf("%s: %+v, bad %v", c.name, got, tables.Bad[:tables.NumBad])
		}
	}
	var many [][]byte
	for i := range uint32(MaxCPUs + 2) {
		many = append(many, x2APICAffinity(0, i, 1))
	}
	if tables := newMachine(t, newSRAT(many...)).parse(t); tables.NumCPUDomains != MaxCPUs || tables.Dropped != 2 {
		t.Errorf("%d of too many, %d dropped", tables.NumCPUDomains, tables.Dropped)
	}
}

func TestSRATOfRevision1(t *testing.T) {
	tables := newMachine(t, newSRATOf(1, memoryAffinity(0x5A5A5A02, 0, 1<<30, 1), localAPICAffinity(0x5A5A5A02, 4, 1))).parse(t)
	if m, c := tables.Affinities[0], tables.CPUDomains[0]; m.Domain != 2 || c.Domain != 2 {
		t.Errorf("domains of 8 bits, reserved bits beside them: memory in %#x, processor in %#x", m.Domain, c.Domain)
	}
}
