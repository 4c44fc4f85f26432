package acpitable

import (
	"bytes"
	"strings"
	"testing"

	"keel/vmkernel/vm/guestmem"
)

// built returns the memory of a guest of 1 MiB + 4 KiB with the tables.
func built(t testing.TB, cpus int) *guestmem.Memory {
	t.Helper()
	m := memory(t, 0x101000)
	addr, err := Build(m, Config{CPUs: cpus})
	if err != nil {
		t.Fatal(err)
	}
	if addr != 0xE0000 {
		t.Fatalf("RSDP at %#x", addr)
	}
	return m
}

// memory returns RAM full of 0xCC.
func memory(t testing.TB, size int) *guestmem.Memory {
	t.Helper()
	m, err := guestmem.New(guestmem.Range{Bytes: bytes.Repeat([]byte{0xCC}, size)})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// tableAt returns the table at addr after it has checked what all have.
func tableAt(t testing.TB, m *guestmem.Memory, addr uint64, signature string) []byte {
	t.Helper()
	if addr%16 != 0 || addr < Start || addr >= End {
		t.Errorf("%s at %#x", signature, addr)
	}
	size, err := m.Read32(addr + 4)
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, size)
	if err := m.ReadAt(b, addr); err != nil {
		t.Fatal(err)
	}
	if string(b[:4]) != signature {
		t.Errorf("%#x: signature %q, want %q", addr, b[:4], signature)
	}
	if signature != "FACS" && sum(b) != 0 {
		t.Errorf("%s: the checksum is wrong", signature)
	}
	if end := addr + uint64(size); end > End {
		t.Errorf("%s ends at %#x", signature, end)
	}
	return b
}

func sum(b []byte) (s byte) {
	for _, c := range b {
		s += c
	}
	return s
}

// tables follows the pointers from the RSDP as a kernel does.
func tables(t testing.TB, m *guestmem.Memory) map[string][]byte {
	t.Helper()
	p := make([]byte, 36)
	if err := m.ReadAt(p, Start); err != nil {
		t.Fatal(err)
	}
	if string(p[:8]) != "RSD PTR " || p[15] != 2 || le.Uint32(p[20:]) != 36 || sum(p[:20]) != 0 || sum(p) != 0 {
		t.Fatalf("RSDP % x", p)
	}
	list := map[string][]byte{
		"RSDT": tableAt(t, m, uint64(le.Uint32(p[16:])), "RSDT"),
		"XSDT": tableAt(t, m, le.Uint64(p[24:]), "XSDT"),
	}
	x, r := list["XSDT"][36:], list["RSDT"][36:]
	if len(x) != 16 || len(r) != 8 {
		t.Fatalf("XSDT with %d bytes, RSDT with %d", len(x), len(r))
	}
	for i, name := range []string{"FACP", "APIC"} {
		addr := le.Uint64(x[8*i:])
		if old := le.Uint32(r[4*i:]); uint64(old) != addr {
			t.Errorf("%s at %#x in the XSDT, at %#x in the RSDT", name, addr, old)
		}
		list[name] = tableAt(t, m, addr, name)
	}
	f := list["FACP"]
	list["FACS"] = tableAt(t, m, uint64(le.Uint32(f[36:])), "FACS")
	list["DSDT"] = tableAt(t, m, le.Uint64(f[140:]), "DSDT")
	if uint64(le.Uint32(f[40:])) != le.Uint64(f[140:]) {
		t.Error("DSDT and X_DSDT differ")
	}
	if le.Uint64(f[132:]) != 0 {
		t.Error("X_FIRMWARE_CTRL as well as FIRMWARE_CTRL is set")
	}
	if facs := le.Uint32(f[36:]); facs%64 != 0 {
		t.Errorf("FACS at %#x", facs)
	}
	return list
}

func TestTablesCanBeFollowedAtEveryProcessorCount(t *testing.T) {
	for _, n := range []int{1, 2, 3, 8, 64, MaxCPUs} {
		tables(t, built(t, n))
	}
}

func TestFADTNamesTheHardware(t *testing.T) {
	f := tables(t, built(t, 1))["FACP"]
	if len(f) != 276 || f[8] != 6 {
		t.Fatalf("%d bytes, revision %d", len(f), f[8])
	}
	gas := func(off int) [4]uint64 { // space, bits, access size, address
		return [4]uint64{uint64(f[off]), uint64(f[off+1]), uint64(f[off+3]), le.Uint64(f[off+4:])}
	}
	for _, c := range []struct {
		name      string
		got, want uint64
	}{
		{"SCI_INT", uint64(le.Uint16(f[46:])), 9},
		{"SMI_CMD", uint64(le.Uint32(f[48:])), 0},
		{"PM1a_EVT_BLK", uint64(le.Uint32(f[56:])), 0x600},
		{"PM1a_CNT_BLK", uint64(le.Uint32(f[64:])), 0x604},
		{"PM_TMR_BLK", uint64(le.Uint32(f[76:])), 0x608},
		{"PM1_EVT_LEN", uint64(f[88]), 4},
		{"PM1_CNT_LEN", uint64(f[89]), 2},
		{"PM_TMR_LEN", uint64(f[91]), 4},
		{"IAPC_BOOT_ARCH", uint64(le.Uint16(f[109:])), 7},
		{"TMR_VAL_EXT and RESET_REG_SUP", uint64(le.Uint32(f[112:])) & (1<<8 | 1<<10), 1<<8 | 1<<10},
		{"HW_REDUCED_ACPI", uint64(le.Uint32(f[112:])) & (1 << 20), 0},
		{"power button: fixed hardware", uint64(le.Uint32(f[112:])) & (1 << 4), 0},
		{"RESET_VALUE", uint64(f[128]), 6},
	} {
		if c.got != c.want {
			t.Errorf("%s: %#x, want %#x", c.name, c.got, c.want)
		}
	}
	for _, c := range []struct {
		name string
		off  int
		want [4]uint64
	}{
		{"RESET_REG", 116, [4]uint64{1, 8, 1, 0xCF9}},
		{"X_PM1a_EVT_BLK", 148, [4]uint64{1, 32, 2, 0x600}},
		{"X_PM1b_EVT_BLK", 160, [4]uint64{}},
		{"X_PM1a_CNT_BLK", 172, [4]uint64{1, 16, 2, 0x604}},
		{"X_PM_TMR_BLK", 208, [4]uint64{1, 32, 3, 0x608}},
		{"X_GPE0_BLK", 220, [4]uint64{}},
	} {
		if got := gas(c.off); got != c.want {
			t.Errorf("%s: %#x, want %#x", c.name, got, c.want)
		}
	}
}

func TestMADTListsEveryProcessorAndTheWiring(t *testing.T) {
	for _, cpus := range []int{1, 4, MaxCPUs} {
		b := tables(t, built(t, cpus))["APIC"]
		if le.Uint32(b[36:]) != 0xFEE00000 || le.Uint32(b[40:]) != 1 {
			t.Errorf("local APIC %#x, flags %#x", le.Uint32(b[36:]), le.Uint32(b[40:]))
		}
		seen, rest := 0, b[44:]
		var others []string
		for len(rest) >= 2 && int(rest[1]) >= 2 && int(rest[1]) <= len(rest) {
			e := rest[:rest[1]]
			rest = rest[rest[1]:]
			if e[0] == 0 {
				if want := []byte{0, 8, byte(seen), byte(seen), 1, 0, 0, 0}; !bytes.Equal(e, want) {
					t.Errorf("processor %d: % x", seen, e)
				}
				seen++
				continue
			}
			others = append(others, string(e))
		}
		if seen != cpus || len(rest) != 0 {
			t.Errorf("%d processors, %d bytes left, want %d processors", seen, len(rest), cpus)
		}
		want := []string{
			"\x01\x0c" + string([]byte{byte(cpus)}) + "\x00\x00\x00\xc0\xfe\x00\x00\x00\x00", // I/O APIC
			"\x02\x0a\x00\x00\x02\x00\x00\x00\x00\x00",                                       // ISA 0: GSI 2
			"\x02\x0a\x00\x09\x09\x00\x00\x00\x0d\x00",                                       // SCI: level, active high
			"\x04\x06\xff\x00\x00\x01",                                                       // NMI: LINT1 of all
		}
		if strings.Join(others, "|") != strings.Join(want, "|") {
			t.Errorf("structures % x, want % x", others, want)
		}
	}
}

func TestNothingElseIsWritten(t *testing.T) {
	m := built(t, MaxCPUs)
	for _, area := range [][2]uint64{{0, Start}, {End, 0x101000}} {
		b, err := m.Slice(area[0], area[1]-area[0])
		if err != nil {
			t.Fatal(err)
		}
		for i, c := range b {
			if c != 0xCC {
				t.Fatalf("byte %#x was written", area[0]+uint64(i))
			}
		}
	}
	last, _ := m.Read8(End - 1)
	if last != 0 {
		t.Error("old contents were left after the tables")
	}
}

func TestImpossibleMachinesAreRefused(t *testing.T) {
	big := memory(t, 1<<20)
	for _, c := range []struct {
		m    *guestmem.Memory
		cpus int
		want string
	}{
		{big, 0, "acpitable: 0 processors: a VM has 1 to 254"},
		{big, -1, "-1 processors"},
		{big, MaxCPUs + 1, "255 processors"},
		{big, 300, "300 processors"},
		{memory(t, 1<<20-1), 1, "no room for the tables from 0xe0000 to 0xfffff"},
	} {
		if _, err := Build(c.m, Config{CPUs: c.cpus}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%d processors: error %v, want %q", c.cpus, err, c.want)
		}
	}
}
