package acpipm

import (
	"fmt"
	"strings"
	"testing"

	"keel/vmkernel/device"
	"keel/vmkernel/device/pciconf"
)

type machine struct{ log []string }

func (m *machine) PowerOff()        { m.log = append(m.log, "off") }
func (m *machine) Reset(how string) { m.log = append(m.log, "reset "+how) }
func (m *machine) Exit(code uint32) { m.log = append(m.log, fmt.Sprint("exit ", code)) }

type line struct{ level bool }

func (l *line) Set(level bool) { l.level = level }

func newBus(t *testing.T) (*device.Bus, *PM1, *machine, *line) {
	t.Helper()
	var bus device.Bus
	m, sci := new(machine), new(line)
	pm := New(m, sci)
	if err := bus.AddPorts("pm1", First, Ports, pm); err != nil {
		t.Fatal(err)
	}
	if err := bus.AddPorts("pci", pciconf.First, pciconf.Ports, pciconf.New(NewReset(m))); err != nil {
		t.Fatal(err)
	}
	return &bus, pm, m, sci
}

func TestS5PowersOff(t *testing.T) {
	type write struct {
		port uint16
		size int
		v    uint32
	}
	for _, tc := range []struct {
		name   string
		writes []write
		off    bool
	}{
		{"S5 in one write", []write{{0x604, 2, SleepS5<<10 | cntSleep}}, true},
		{"type first, then enable, as ACPICA does", []write{{0x604, 2, SleepS5<<10 | 1}, {0x604, 2, SleepS5<<10 | cntSleep | 1}}, true},
		{"high byte", []write{{0x605, 1, (SleepS5<<10 | cntSleep) >> 8}}, true},
		{"four bytes, two of them unclaimed", []write{{0x604, 4, SleepS5<<10 | cntSleep}}, true},
		{"across enable and control", []write{{0x602, 4, (SleepS5<<10 | cntSleep) << 16}}, true},
		{"type only", []write{{0x604, 2, SleepS5 << 10}}, false},
		{"S3's usual type", []write{{0x604, 2, 1<<10 | cntSleep}}, false},
		{"type 7", []write{{0x604, 2, 7<<10 | cntSleep}}, false},
		{"low byte", []write{{0x604, 2, SleepS5 << 10}, {0x604, 1, 0xff}}, false},
		{"status register", []write{{0x600, 2, SleepS5<<10 | cntSleep}}, false},
	} {
		bus, _, m, _ := newBus(t)
		for _, w := range tc.writes {
			bus.Out(w.port, w.size, w.v)
		}
		if off := len(m.log) == 1 && m.log[0] == "off"; off != tc.off || len(m.log) > 1 {
			t.Errorf("%s: %q, want power off %v", tc.name, m.log, tc.off)
		}
		if v := bus.In(0x604, 2); v&1 == 0 || v&cntSleep != 0 {
			t.Errorf("%s: control reads %#x: SCI_EN is always 1 and SLP_EN 0", tc.name, v)
		}
	}
}

func TestPowerButtonRaisesTheSCIWhileEnabledAndNotAcknowledged(t *testing.T) {
	bus, pm, _, sci := newBus(t)
	pm.PressPowerButton()
	if sci.level {
		t.Error("SCI without enable")
	}
	if v := bus.In(0x600, 2); v != stsPowerBtn {
		t.Errorf("status %#x, want PWRBTN_STS", v)
	}
	bus.Out(0x602, 2, 0xffff)
	if v := bus.In(0x602, 2); v != enableMask {
		t.Errorf("enable %#x, want %#x", v, enableMask)
	}
	if !sci.level {
		t.Error("no SCI when enabled with the status set")
	}
	bus.Out(0x600, 2, 0xffff&^stsPowerBtn)
	if !sci.level {
		t.Error("SCI fell though PWRBTN_STS was not cleared")
	}
	bus.Out(0x601, 1, stsPowerBtn>>8)
	if sci.level || bus.In(0x600, 2) != 0 {
		t.Error("writing one did not clear PWRBTN_STS and the SCI")
	}
	pm.PressPowerButton()
	if !sci.level {
		t.Error("no SCI on the second press")
	}
	bus.Out(0x603, 1, 0)
	if sci.level {
		t.Error("SCI stays with the event disabled")
	}
	if v := bus.In(0x602, 2); v != enableMask&0xff {
		t.Errorf("enable %#x after clearing its high byte, want %#x", v, enableMask&0xff)
	}
	if v := bus.In(0x600, 4); v != stsPowerBtn|(enableMask&0xff)<<16 {
		t.Errorf("status and enable %#x", v)
	}
}

func TestResetRegister(t *testing.T) {
	for _, tc := range []struct {
		name   string
		writes []uint32
		want   string
	}{
		{"FADT's value", []uint32{ResetValue}, "reset acpi"},
		{"full reset", []uint32{0x0e}, "reset acpi"},
		{"Linux reboot=p", []uint32{0x02, 0x06}, "reset acpi"},
		{"soft", []uint32{0x04}, "reset acpi"},
		{"kind only", []uint32{0x02, 0x0a, 0xfb, 0}, ""},
	} {
		bus, _, m, _ := newBus(t)
		for _, v := range tc.writes {
			bus.Out(ResetPort, 1, v)
		}
		if got := strings.Join(m.log, ","); got != tc.want {
			t.Errorf("%s: %q, want %q", tc.name, got, tc.want)
		}
	}
	bus, _, m, _ := newBus(t)
	bus.Out(ResetPort, 1, 0xfb)
	if v := bus.In(ResetPort, 1); v != rstSystem|rstFull {
		t.Errorf("register reads %#x, want the kind of reset", v)
	}
	bus.Out(ResetPort-1, 4, 0x06060606)
	if len(m.log) != 0 {
		t.Errorf("a configuration address did %q", m.log)
	}
}

func TestAccessesDoNotAllocate(t *testing.T) {
	pm := New(new(machine), nil)
	if n := testing.AllocsPerRun(100, func() {
		pm.Out(2, 2, 0xffff)
		pm.PressPowerButton()
		pm.Out(0, 2, 0xffff)
		pm.In(0, 4)
	}); n != 0 {
		t.Errorf("%v allocations, want none", n)
	}
}

// FuzzRegisters drives the ports with three bytes an access: port and
// direction, size, value.
func FuzzRegisters(f *testing.F) {
	f.Add([]byte{0x82, 2, 0xff, 0x40, 0, 0, 0x84, 2, 0x34})
	f.Add([]byte{0x85, 1, 0x34, 0x05, 4, 0})
	f.Fuzz(func(t *testing.T, program []byte) {
		bus, pm, _, sci := newBus(t)
		for ; len(program) >= 3; program = program[3:] {
			port, size, v := First+uint16(program[0]&7), 1<<(program[1]&3), uint32(program[2])*0x01010101
			switch program[0] >> 6 {
			case 0:
				bus.In(port, size)
			case 1:
				pm.PressPowerButton()
			default:
				bus.Out(port, size, v)
			}
			if sci.level != (pm.status&pm.enable != 0) {
				t.Fatalf("SCI %v with status %#x, enable %#x", sci.level, pm.status, pm.enable)
			}
			if bus.In(0x604, 1)&1 == 0 {
				t.Fatal("SCI_EN reads 0")
			}
		}
	})
}
