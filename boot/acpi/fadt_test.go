package acpi

import (
	"bytes"
	"testing"
)

func TestFADT(t *testing.T) {
	fields := map[int]any{
		46: uint16(9), 48: uint32(0xB2), 52: uint8(0xF1), 53: uint8(0xF0),
		56: uint32(0x600), 60: uint32(0x700), 64: uint32(0x604), 68: uint32(0x704), 76: uint32(0x608),
		88: uint8(4), 89: uint8(2), 91: uint8(4), 108: uint8(0x32), 109: uint16(0x21),
		112: uint32(PMTimer32Bits | ResetSupported),
		116: gas(0, 8, 0xFED8_0000), 128: uint8(6),
		140: uint64(0x2_0000),
		172: gas(1, 16, 0x804), 208: gas(0, 32, 0xFED8_0808),
	}
	old := func(port uint64, width uint8) Register { return Register{Address: port, Space: InPorts, Width: width} }
	for _, c := range []struct {
		name   string
		length int
		want   FixedHardware
		has    Has
	}{
		{"complete", 276, FixedHardware{
			Flags: PMTimer32Bits | ResetSupported, DSDT: 0x2_0000, SCI: 9, BootFlags: 0x21, ACPIEnable: 0xF1, ACPIDisable: 0xF0,
			Century: 0x32, ResetValue: 6, PM1EventLength: 4, SMICommand: 0xB2,
			PM1aEvent: old(0x600, 32), PM1bEvent: old(0x700, 32), PM1aControl: old(0x804, 16), PM1bControl: old(0x704, 16),
			PMTimer:       Register{Address: 0xFED8_0808, Space: InMemory, Width: 32},
			ResetRegister: Register{Address: 0xFED8_0000, Space: InMemory, Width: 8},
		}, HasFADT | HasPMTimer | HasReset},
		{"ACPI 1.0", 116, FixedHardware{
			Flags: PMTimer32Bits | ResetSupported, DSDT: 0x1_FFC0, SCI: 9, BootFlags: 0x21, ACPIEnable: 0xF1, ACPIDisable: 0xF0,
			Century: 0x32, PM1EventLength: 4, SMICommand: 0xB2,
			PM1aEvent: old(0x600, 32), PM1bEvent: old(0x700, 32), PM1aControl: old(0x604, 16), PM1bControl: old(0x704, 16),
			PMTimer: old(0x608, 32),
		}, HasFADT | HasPMTimer},
		{"reset register without its value", 128, FixedHardware{
			Flags: PMTimer32Bits | ResetSupported, DSDT: 0x1_FFC0, SCI: 9, BootFlags: 0x21, ACPIEnable: 0xF1, ACPIDisable: 0xF0,
			Century: 0x32, PM1EventLength: 4, SMICommand: 0xB2,
			PM1aEvent: old(0x600, 32), PM1bEvent: old(0x700, 32), PM1aControl: old(0x604, 16), PM1bControl: old(0x704, 16),
			PMTimer: old(0x608, 32),
		}, HasFADT | HasPMTimer},
	} {
		tables := newMachine(t, newFADT(c.length, 0x1_FFC0, fields)).parse(t)
		if tables.FADT != c.want || tables.Has != c.has|HasXSDT {
			t.Errorf("%s: has %b\n got %+v\nwant %+v", c.name, tables.Has, tables.FADT, c.want)
		}
	}
}

func TestFADTPeculiarities(t *testing.T) {
	tables := newMachine(t, newFADT(115, 0, nil)).parse(t)
	if tables.Has&HasFADT != 0 || !tables.hasBad(FADT, BadLength) {
		t.Errorf("too short: has %b", tables.Has)
	}
	tables = newMachine(t, newFADT(276, 0, map[int]any{64: uint32(0x1_0000), 76: uint32(0), 116: gas(0, 8, 0x1000)})).parse(t)
	if tables.FADT.PM1aControl.Present() || tables.Has&(HasPMTimer|HasReset) != 0 {
		t.Errorf("a port beyond 64 KiB, no timer, no reset flag: %+v, has %b", tables.FADT, tables.Has)
	}
	tables = newMachine(t, newFADT(276, 0, map[int]any{112: uint32(ResetSupported), 116: gas(8, 8, 0x1000)})).parse(t)
	if tables.Has&HasReset != 0 {
		t.Error("a reset register on an SMBus is taken")
	}
	tables = newMachine(t, newFADT(276, 0, map[int]any{112: uint32(HardwareReduced), 64: uint32(0x604), 244: gas(0, 8, 0xFED0)})).parse(t)
	if tables.FADT.PM1aControl.Present() || tables.FADT.SleepControl.Address != 0xFED0 {
		t.Errorf("hardware-reduced: %+v", tables.FADT)
	}
	rev1 := newFADT(116, 0, map[int]any{8: uint8(1), 109: uint16(0)})
	if tables = newMachine(t, rev1).parse(t); tables.FADT.BootFlags != BootLegacyDevices|Boot8042 {
		t.Errorf("revision 1: boot flags %#x", tables.FADT.BootFlags)
	}
}

// machineWithAML has a FADT, a DSDT with this AML and SSDTs with those.
func machineWithAML(tb testing.TB, dsdt []byte, ssdts ...[]byte) *machine {
	var tables [][]byte
	for _, b := range ssdts {
		tables = append(tables, newTable("SSDT", 2, b))
	}
	m := newMachine(tb, tables...)
	at := m.put(newTable("DSDT", 2, dsdt))
	m.addresses = append(m.addresses, m.put(newFADT(116, at, nil)))
	m.root()
	return m
}

func TestS5(t *testing.T) {
	name := []byte("\x08_S5_\x12")
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	filler := bytes.Repeat([]byte{0x5B, '_', 'S', '5'}, 20)
	for _, c := range []struct {
		name string
		aml  []byte
		a, b uint8
		ok   bool
	}{
		{"bytes", join(filler, name, []byte{0x0A, 4, 0x0A, 5, 0x0A, 7, 0, 0}, filler), 5, 7, true},
		{"at the table's beginning and end", join(name, []byte{0x04, 2, 0x00, 0x01}), 0, 1, true},
		{"one", join(name, []byte{0x06, 4, 0x01, 0x01, 0, 0}), 1, 1, true},
		{"words", join(name, []byte{0x0A, 2, 0x0B, 6, 0, 0x0C, 3, 0, 0, 0}), 6, 3, true},
		{"a quad word", join(name, []byte{0x0C, 2, 0x0E, 2, 0, 0, 0, 0, 0, 0, 0, 0x01}), 2, 1, true},
		{"below the root", []byte("\x08\\_S5_\x12\x06\x04\x0A\x05\x00\x00\x00"), 5, 0, true},
		{"long PkgLength", join(name, []byte{0x46, 0x00, 2, 0x0A, 5, 0x01}), 5, 1, true},
		{"one element", join(name, []byte{0x04, 1, 0x0A, 5}), 5, 5, true},
		{"second element not given", join(name, []byte{0x04, 2, 0x0A, 5}), 5, 5, true},
		{"after a false friend", join([]byte("\x11_S5_\x12\x06\x04\x0A\x01\x0A\x01"), name, []byte{0x06, 2, 0x0A, 5, 0x0A, 6}), 5, 6, true},
		{"after one that doesn't parse", join(name, []byte{0x06, 2, 0x0D}, name, []byte{0x06, 2, 0x0A, 5, 0x0A, 6}), 5, 6, true},
		{"a method", []byte("\x14\x08_S5_\x00\xA4\x00"), 0, 0, false},
		{"not a package", []byte("\x08_S5_\x0A\x05\x00\x00"), 0, 0, false},
		{"type 8", join(name, []byte{0x06, 2, 0x0A, 8, 0x0A, 0}), 0, 0, false},
		{"second type 8", join(name, []byte{0x06, 2, 0x0A, 0, 0x0A, 8}), 0, 0, false},
		{"package beyond the table", join(name, []byte{0x07, 2, 0x0A, 5, 0x0A, 5}), 0, 0, false},
		{"package shorter than its element", join(name, []byte{0x03, 2, 0x0A, 5, 0x0A, 5}), 0, 0, false},
		{"package of length 0", join(name, []byte{0x00, 2, 0x0A, 5, 0x0A, 5}), 0, 0, false},
		{"empty package", join(name, []byte{0x02, 0}), 0, 0, false},
		{"huge PkgLength", join(name, []byte{0xCF, 0xFF, 0xFF, 0xFF, 2, 0x0A, 5}), 0, 0, false},
		{"cut off", name[:5], 0, 0, false},
		{"cut off after the package", name, 0, 0, false},
		{"nothing", nil, 0, 0, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, in := range []string{"DSDT", "SSDT"} {
				m := machineWithAML(t, c.aml)
				if in == "SSDT" {
					m = machineWithAML(t, filler, filler, c.aml)
				}
				tables := m.parse(t)
				if ok := tables.Has&HasS5 != 0; ok != c.ok || tables.FADT.SleepTypeA != c.a || tables.FADT.SleepTypeB != c.b {
					t.Errorf("%s: found %v, types %d, %d", in, ok, tables.FADT.SleepTypeA, tables.FADT.SleepTypeB)
				}
			}
		})
	}
}

func TestBadDSDTIsSkipped(t *testing.T) {
	aml := []byte("\x08_S5_\x12\x06\x02\x0A\x05\x0A\x05")
	m := machineWithAML(t, aml)
	at, _ := m.parse(t).Find(DSDT)
	m.Put(at+40, uint8(0xEE))
	if tables := m.parse(t); tables.Has&HasS5 != 0 || !tables.hasBad(DSDT, BadChecksum) {
		t.Errorf("has %b", tables.Has)
	}
	m.Put(at, "SSDT")
	if tables := m.parse(t); !tables.hasBad(SSDT, WrongName) {
		t.Errorf("bad %+v", tables.Bad[:tables.NumBad])
	}
}
