package acpi

import (
	"math"
	"reflect"
	"strings"
	"testing"

	"keel/boot/physmem"
	"keel/boot/physmem/memtest"
)

func TestRSDPIsFound(t *testing.T) {
	good := rsdp(2)
	bad := append([]byte{}, good...)
	bad[10]++
	for _, c := range []struct {
		name string
		ebda uint16
		at   uint64
		rsdp []byte
		want uint64
	}{
		{"in the BIOS", 0, 0xE0000, good, 0xE0000},
		{"at the BIOS's end", 0, 0xFFFE0, good[:20], 0xFFFE0},
		{"in the EBDA", 0x9FC0, 0x9FFF0, good, 0x9FFF0},
		{"behind the EBDA's first KiB", 0x9F00, 0x9F400, good, 0},
		{"EBDA's segment is nonsense", 0xC000, 0xC0000, good, 0},
		{"not aligned", 0, 0xE0008, good, 0},
		{"wrong checksum", 0, 0xE0000, bad, 0},
		{"below the BIOS", 0, 0xDFFF0, good, 0},
	} {
		image := memtest.New(t, size)
		image.Put(0x40E, c.ebda)
		image.Put(c.at, c.rsdp)
		if got := FindRSDP(image.Memory()); got != c.want {
			t.Errorf("%s: %#x, want %#x", c.name, got, c.want)
		}
	}
	if got := FindRSDP(memtest.New(t, 0xE0010).Memory()); got != 0 {
		t.Errorf("in short memory: %#x", got)
	}
}

func TestRoot(t *testing.T) {
	hpet := newTable("HPET", 1, uint32(0x8086A201), gas(0, 64, 0xFED0_0000), uint8(0), uint16(0x80), uint8(0))
	broken := func(at uint64) func(*machine) { return func(m *machine) { m.Put(at+10, uint8(0xAA)) } }
	for _, c := range []struct {
		name     string
		rsdp     uint64
		prepare  func(*machine)
		root     uint64
		scanned  bool
		bad      Signature
		badFault Fault
	}{
		{"XSDT", rsdpAt, nil, xsdtAt, false, 0, 0},
		{"RSDP not given", 0, nil, xsdtAt, true, 0, 0},
		{"RSDP given wrongly", 0x5000, nil, xsdtAt, true, sigRSDP, BadChecksum},
		{"RSDP given beyond memory", math.MaxUint64 - 3, nil, xsdtAt, true, sigRSDP, BadChecksum},
		{"ACPI 1.0", rsdpAt, func(m *machine) { m.Put(rsdpAt, rsdp(0)) }, rsdtAt, false, 0, 0},
		{"XSDT with a wrong checksum", rsdpAt, broken(xsdtAt), rsdtAt, false, XSDT, BadChecksum},
		{"second checksum wrong", rsdpAt, func(m *machine) { m.Put(rsdpAt+33, uint8(1)) }, rsdtAt, false, sigRSDP, BadChecksum},
		{"XSDT's name wrong", rsdpAt, func(m *machine) { m.Put(xsdtAt, "XSDX") }, rsdtAt, false, 'X' | 'S'<<8 | 'D'<<16 | 'X'<<24, WrongName},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := newMachine(t, hpet)
			if c.prepare != nil {
				c.prepare(m)
			}
			var tables Tables
			if e := Parse(m.Memory(), c.rsdp, &tables); e != "" {
				t.Fatal(e)
			}
			checkInvariants(t, m.Image, &tables)
			if tables.Root != c.root || tables.Has&HasHPET == 0 || tables.RSDP != rsdpAt {
				t.Errorf("root %#x, has %b, RSDP %#x", tables.Root, tables.Has, tables.RSDP)
			}
			if (tables.Has&HasXSDT != 0) != (c.root == xsdtAt) || (tables.Has&HasScanned != 0) != c.scanned {
				t.Errorf("has %b", tables.Has)
			}
			if c.bad != 0 && !tables.hasBad(c.bad, c.badFault) || c.bad == 0 && tables.NumBad != 0 {
				t.Errorf("bad tables %+v", tables.Bad[:tables.NumBad])
			}
		})
	}
}

func TestNoRoot(t *testing.T) {
	for _, c := range []struct {
		name    string
		prepare func(*machine)
		want    string
	}{
		{"no RSDP", func(m *machine) { m.Put(rsdpAt, uint64(0)) }, "no valid root pointer"},
		{"both roots damaged", func(m *machine) { m.Put(xsdtAt+9, uint8(1)); m.Put(rsdtAt+9, uint8(1)) }, "missing or damaged"},
		{"root too short", func(m *machine) {
			m.Put(xsdtAt+4, uint32(35))
			m.Put(rsdtAt+4, uint32(0))
		}, "missing or damaged"},
		{"root of 4 GiB", func(m *machine) {
			m.Put(xsdtAt+4, uint32(math.MaxUint32))
			m.Put(rsdtAt+4, uint32(math.MaxUint32))
		}, "missing or damaged"},
	} {
		m := newMachine(t)
		c.prepare(m)
		var tables Tables
		if e := Parse(m.Memory(), 0, &tables); !strings.Contains(e, c.want) {
			t.Errorf("%s: %q", c.name, e)
		}
	}
	var tables Tables
	if e := Parse(physmem.Memory{}, 0, &tables); e == "" {
		t.Error("no memory at all is no error")
	}
}

func TestAbsentTablesAreSaid(t *testing.T) {
	tables := newMachine(t).parse(t)
	if tables.Has != HasXSDT || tables.NumCPUs != 0 || tables.NumBad != 0 {
		t.Errorf("an empty root gives %b, %d processors", tables.Has, tables.NumCPUs)
	}
}

func TestDamagedTablesAreSkippedAndNamed(t *testing.T) {
	madt := newTable("APIC", 1, uint32(0xFEE0_0000), uint32(0), []byte{0, 8, 0, 0, 1, 0, 0, 0})
	hpet := newTable("HPET", 1, uint32(0), gas(0, 64, 0xFED0_0000), uint32(0))
	mcfg := newTable("MCFG", 1, uint64(0), uint64(0xB000_0000), uint16(0), uint8(0), uint8(255), uint32(0))
	madt[9]++
	hpet[4] = 20 // length
	m := newMachine(t, madt, hpet, mcfg)
	m.addresses = append(m.addresses, size-10, math.MaxUint64, 0, 0x70000)
	m.Put(0x70000, "LONG", uint32(size))
	m.root()
	tables := m.parse(t)
	if tables.Has != HasXSDT|HasMCFG || tables.NumECAMs != 1 || tables.NumTables != 2 {
		t.Errorf("has %b, %d tables", tables.Has, tables.NumTables)
	}
	if !tables.hasBad(MADT, BadChecksum) || !tables.hasBad(HPET, BadLength) || !tables.hasBad(0, Unreadable) ||
		!tables.hasBad('L'|'O'<<8|'N'<<16|'G'<<24, Unreadable) || tables.NumBad != 5 {
		t.Errorf("bad: %+v", tables.Bad[:tables.NumBad])
	}
	if name := MADT.Text(); string(name[:]) != "APIC" {
		t.Errorf("name %q", name)
	}
	if name := Signature(0x7F00_1B41).Text(); string(name[:]) != "A???" {
		t.Errorf("control bytes in a name: %q", name)
	}
}

func TestManyTablesAreCounted(t *testing.T) {
	m := newMachine(t)
	at := m.put(newTable("OEM0", 1))
	hole := m.put(newTable("OEM1", 1)) + 9
	m.Put(hole, uint8(0))
	for range MaxTables + 10 {
		m.addresses = append(m.addresses, at)
	}
	for range MaxBad + 5 {
		m.addresses = append(m.addresses, hole-9)
	}
	m.root()
	tables := m.parse(t)
	if tables.NumTables != MaxTables || tables.Dropped != 11 || tables.NumBad != MaxBad+5 {
		t.Errorf("%d tables, %d dropped, %d bad", tables.NumTables, tables.Dropped, tables.NumBad)
	}
}

func TestTheFirstOfAKindCounts(t *testing.T) {
	first := newTable("MCFG", 1, uint64(0), uint64(0xB000_0000), uint16(0), uint8(0), uint8(255), uint32(0))
	second := newTable("MCFG", 1, uint64(0), uint64(0xC000_0000), uint16(0), uint8(0), uint8(255), uint32(0))
	tables := newMachine(t, first, second).parse(t)
	if tables.NumECAMs != 1 || tables.ECAMs[0].Base != 0xB000_0000 {
		t.Errorf("ECAMs %+v", tables.ECAMs[:tables.NumECAMs])
	}
	if at, n := tables.Find(MCFG); at != 0x10000 || n != 60 {
		t.Errorf("Find = %#x, %d", at, n)
	}
	if at, n := tables.Find(HPET); at != 0 || n != 0 {
		t.Errorf("Find of an absent table = %#x, %d", at, n)
	}
}

func TestHPETAndMCFG(t *testing.T) {
	hpet := newTable("HPET", 1, uint32(0x8086A201), gas(0, 64, 0xFED0_0000), uint8(3), uint16(0x80), uint8(0))
	ports := newTable("HPET", 1, uint32(0x8086A201), gas(1, 64, 0x500), uint8(3), uint16(0x80), uint8(0))
	var ranges []any
	for i := range uint64(MaxECAMs + 3) {
		ranges = append(ranges, 0xB000_0000+i<<28, uint16(i), uint8(1), uint8(0xFE), uint32(0))
	}
	ranges = append(ranges, uint64(0), uint16(0), uint8(0), uint8(1), uint32(0)) // no base
	mcfg := newTable("MCFG", 1, append([]any{uint64(0)}, ranges...)...)
	tables := newMachine(t, ports, hpet, mcfg).parse(t)
	if tables.HPET != (Timer{0xFED0_0000, 0x8086A201, 0x80, 3}) || !tables.hasBad(HPET, BadContent) {
		t.Errorf("HPET %+v", tables.HPET)
	}
	if tables.NumECAMs != MaxECAMs || tables.Dropped != 3 || tables.ECAMs[2] != (ECAM{0xD000_0000, 2, 1, 0xFE}) || !tables.hasBad(MCFG, BadContent) {
		t.Errorf("ECAMs %+v, %d dropped", tables.ECAMs[:tables.NumECAMs], tables.Dropped)
	}
}

func TestHasNoPointers(t *testing.T) {
	var walk func(reflect.Type)
	walk = func(p reflect.Type) {
		switch p.Kind() {
		case reflect.Struct:
			for i := range p.NumField() {
				walk(p.Field(i).Type)
			}
		case reflect.Array:
			walk(p.Elem())
		case reflect.Pointer, reflect.Slice, reflect.String, reflect.Map, reflect.Interface, reflect.Func, reflect.Chan, reflect.UnsafePointer:
			t.Errorf("%v in Tables", p)
		}
	}
	walk(reflect.TypeFor[Tables]())
}

func TestAllocatesNothing(t *testing.T) {
	image := memtest.New(t, 256<<20)
	image.Load(recordings + "qemu-grub-uefi.mem.gz")
	mem := image.Memory()
	var tables Tables
	if n := testing.AllocsPerRun(5, func() { Parse(mem, 0x64A8, &tables); tables.ISA(9) }); n != 0 {
		t.Errorf("Parse allocates %v times", n)
	}
}
