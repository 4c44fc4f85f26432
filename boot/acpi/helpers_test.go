package acpi

import (
	"testing"

	"keel/boot/physmem/memtest"
)

const size = 1 << 20 // bytes of the synthetic machines' memory

// sealed is the table with the checksum byte at offset at made right.
func sealed(b []byte, at int) []byte {
	b[at] = 0
	sum := byte(0)
	for _, c := range b {
		sum += c
	}
	b[at] = -sum
	return b
}

// newTable is a table with a right header.
func newTable(signature string, revision byte, body ...any) []byte {
	content := memtest.Bytes(body...)
	b := memtest.Bytes(signature, uint32(36+len(content)), revision, uint8(0), "KEEL  ", "TEST    ", uint32(1), "TEST", uint32(1), content)
	return sealed(b, 9)
}

// machine lays tables out behind each other from 0x10000 on, under an XSDT at 0x8000, an RSDT at
// 0x9000 and an RSDP at 0xE1230.
type machine struct {
	*memtest.Image
	addresses []uint64
	next      uint64
}

const (
	rsdpAt = 0xE1230
	xsdtAt = 0x8000
	rsdtAt = 0x9000
)

func newMachine(tb testing.TB, tables ...[]byte) *machine {
	m := &machine{memtest.New(tb, size), nil, 0x10000}
	for _, b := range tables {
		m.addresses = append(m.addresses, m.put(b))
	}
	m.root()
	return m
}

func (m *machine) put(b []byte) uint64 {
	at := m.next
	m.next = (m.Put(at, b) + 63) &^ 63
	return at
}

func (m *machine) root() {
	var wide, narrow []any
	for _, a := range m.addresses {
		wide, narrow = append(wide, a), append(narrow, uint32(a))
	}
	m.Put(xsdtAt, newTable("XSDT", 1, wide...))
	m.Put(rsdtAt, newTable("RSDT", 1, narrow...))
	m.Put(rsdpAt, rsdp(2))
}

func rsdp(revision uint8) []byte {
	b := memtest.Bytes("RSD PTR ", uint8(0), "KEEL  ", revision, uint32(rsdtAt), uint32(36), uint64(xsdtAt), uint32(0))
	sealed(b[:20], 8)
	return sealed(b, 32)
}

func (m *machine) parse(t *testing.T) *Tables {
	t.Helper()
	var tables Tables
	if e := Parse(m.Memory(), rsdpAt, &tables); e != "" {
		t.Fatal(e)
	}
	checkInvariants(t, m.Image, &tables)
	return &tables
}

// checkInvariants asserts what every reader of Tables relies on, however odd the firmware was.
func checkInvariants(t *testing.T, m *memtest.Image, tables *Tables) {
	t.Helper()
	if tables.NumCPUs > MaxCPUs || tables.NumIOAPICs > MaxIOAPICs || tables.NumOverrides > MaxOverrides ||
		tables.NumNMIs > MaxNMIs || tables.NumECAMs > MaxECAMs || tables.NumTables > MaxTables ||
		tables.NumAffinities > MaxAffinities || tables.NumCPUDomains > MaxCPUs {
		t.Fatal("a count exceeds its array")
	}
	seen := map[uint32]bool{}
	for _, c := range tables.CPUs[:tables.NumCPUs] {
		if seen[c.APICID] || c.NMIPin > 1 && c.NMIPin != NoPin {
			t.Fatalf("processor %+v is there twice or has a third NMI pin", c)
		}
		seen[c.APICID] = true
	}
	for _, e := range tables.Directory[:tables.NumTables] {
		if sum, ok := m.Memory().Sum8(e.Address, uint64(e.Length)); !ok || sum != 0 || e.Length < headerSize {
			t.Fatalf("the directory has a table that isn't sound: %+v", e)
		}
	}
	for _, e := range tables.ECAMs[:tables.NumECAMs] {
		if e.Base == 0 || e.StartBus > e.EndBus {
			t.Fatalf("ECAM %+v", e)
		}
	}
	for i, a := range tables.Affinities[:tables.NumAffinities] {
		if a.Length == 0 || a.Base+(a.Length-1) < a.Base {
			t.Fatalf("affinity %+v", a)
		}
		for _, b := range tables.Affinities[:i] {
			if a.Base <= b.Base+(b.Length-1) && b.Base <= a.Base+(a.Length-1) {
				t.Fatalf("affinities %+v and %+v overlap", a, b)
			}
		}
	}
	if f := &tables.FADT; f.SleepTypeA > 7 || f.SleepTypeB > 7 {
		t.Fatalf("sleep types %d, %d", f.SleepTypeA, f.SleepTypeB)
	}
}

func (t *Tables) hasBad(s Signature, f Fault) bool {
	for _, b := range t.Bad[:min(t.NumBad, MaxBad)] {
		if b.Signature == s && b.Fault == f {
			return true
		}
	}
	return false
}

// newFADT is a FADT of length bytes with a DSDT at dsdt and fields set by offset.
func newFADT(length int, dsdt uint64, fields map[int]any) []byte {
	b := newTable("FACP", 4, make([]byte, length-36))
	set := func(off int, value any) {
		if bytes := memtest.Bytes(value); off+len(bytes) <= len(b) {
			copy(b[off:], bytes)
		}
	}
	set(40, uint32(dsdt))
	for off, value := range fields {
		set(off, value)
	}
	return sealed(b, 9)
}

// gas is a generic address structure.
func gas(space, width uint8, address uint64) []byte {
	return memtest.Bytes(space, width, uint8(0), uint8(0), address)
}
