package i8042

import (
	"fmt"
	"strings"
	"testing"

	"keel/vmkernel/device"
)

type machine struct{ log []string }

func (m *machine) PowerOff()        { m.log = append(m.log, "off") }
func (m *machine) Reset(how string) { m.log = append(m.log, "reset: "+how) }
func (m *machine) Exit(code uint32) { m.log = append(m.log, fmt.Sprint("exit ", code)) }

type line struct{ level bool }

func (l *line) Set(level bool) { l.level = level }

func newBus(t *testing.T) (*device.Bus, *Controller, *machine, *line) {
	t.Helper()
	var bus device.Bus
	m, irq := new(machine), new(line)
	c := New(m, irq)
	for port, d := range map[uint16]device.PortDevice{DataPort: c.Data(), CommandPort: c.Command()} {
		if err := bus.AddPorts("i8042", port, 1, d); err != nil {
			t.Fatal(err)
		}
	}
	return &bus, c, m, irq
}

func TestResetWorksAtOnceByEachWay(t *testing.T) {
	const want = "reset: keyboard controller"
	for _, tc := range []struct {
		name   string
		writes [][2]uint32 // port, value
		want   string
	}{
		{"pulse FE", [][2]uint32{{0x64, 0xfe}}, want},
		{"pulse all", [][2]uint32{{0x64, 0xf0}}, want},
		{"pulse nothing", [][2]uint32{{0x64, 0xff}}, ""},
		{"pulse A20", [][2]uint32{{0x64, 0xfd}}, ""},
		{"output port", [][2]uint32{{0x64, 0xd1}, {0x60, 0xfe}}, want},
		{"output port, A20 on", [][2]uint32{{0x64, 0xd1}, {0x60, 0xdf}}, ""},
		{"data without command", [][2]uint32{{0x60, 0xfe}}, ""},
		{"command aborted by another", [][2]uint32{{0x64, 0xd1}, {0x64, 0xae}, {0x60, 0xfe}}, ""},
		{"amid another command", [][2]uint32{{0x64, 0x60}, {0x64, 0xfe}}, want},
	} {
		bus, _, m, _ := newBus(t)
		for _, w := range tc.writes {
			if bus.In(CommandPort, 1)&2 != 0 {
				t.Errorf("%s: the input buffer is full: Linux would poll", tc.name)
			}
			bus.Out(uint16(w[0]), 1, w[1])
		}
		if got := strings.Join(m.log, ","); got != tc.want {
			t.Errorf("%s: %q, want %q", tc.name, got, tc.want)
		}
	}
}

func TestCommandsAnswer(t *testing.T) {
	const ready = stsOutput | stsSystem | stsUnlock
	for _, tc := range []struct {
		name   string
		cmd    int // none if negative
		data   int // none if negative
		status uint32
		answer uint32
	}{
		{"self test", 0xaa, -1, ready | stsCommand, 0x55},
		{"keyboard interface test", 0xab, -1, ready | stsCommand, 0},
		{"mouse interface test fails", 0xa9, -1, ready | stsCommand, 1},
		{"no password", 0xa4, -1, ready | stsCommand, 0xf1},
		{"input port", 0xc0, -1, ready | stsCommand, 0xa0},
		{"output port has A20 on and no reset", 0xd0, -1, ready | stsCommand, 0xcf},
		{"test inputs", 0xe0, -1, ready | stsCommand, 0},
		{"keyboard loop", 0xd2, 0x5a, ready, 0x5a},
		{"mouse loop fails", 0xd3, 0x5a, ready, 0xfe},
		{"mouse is absent", 0xd4, 0xff, ready | stsAux | stsTimeout, 0xfe},
		{"keyboard is absent", -1, 0xf2, ready | stsTimeout, 0xfe},
	} {
		bus, _, m, _ := newBus(t)
		if tc.cmd >= 0 {
			bus.Out(CommandPort, 1, uint32(tc.cmd))
		}
		if tc.data >= 0 {
			bus.Out(DataPort, 1, uint32(tc.data))
		}
		if got := bus.In(CommandPort, 1); got != tc.status {
			t.Errorf("%s: status %#x, want %#x", tc.name, got, tc.status)
		}
		if got := bus.In(DataPort, 1); got != tc.answer {
			t.Errorf("%s: answer %#x, want %#x", tc.name, got, tc.answer)
		}
		if bus.In(CommandPort, 1)&(stsOutput|stsAux|stsTimeout) != 0 {
			t.Errorf("%s: the output buffer is still full", tc.name)
		}
		if len(m.log) != 0 {
			t.Errorf("%s: did %q", tc.name, m.log)
		}
	}
}

func TestCommandByteAndRAMReadBack(t *testing.T) {
	bus, _, _, _ := newBus(t)
	for i := uint32(0); i < 32; i++ {
		bus.Out(CommandPort, 1, 0x60+i)
		bus.Out(DataPort, 1, 0x40+i)
	}
	for i := uint32(0); i < 32; i++ {
		bus.Out(CommandPort, 1, 0x20+i)
		if got := bus.In(DataPort, 1); got != 0x40+i {
			t.Errorf("RAM byte %d = %#x, want %#x", i, got, 0x40+i)
		}
	}
	commandByte := func() uint32 {
		bus.Out(CommandPort, 1, 0x20)
		return bus.In(DataPort, 1)
	}
	for _, tc := range []struct{ cmd, want uint32 }{
		{0xad, 0x50}, {0xa7, 0x70}, {0xae, 0x60}, {0xa8, 0x40},
	} {
		bus.Out(CommandPort, 1, tc.cmd)
		if got := commandByte(); got != tc.want {
			t.Errorf("command byte after %#x = %#x, want %#x", tc.cmd, got, tc.want)
		}
	}
	bus.Out(CommandPort, 1, 0xd1)
	bus.Out(DataPort, 1, 0xdd)
	bus.Out(CommandPort, 1, 0xd0)
	if got := bus.In(DataPort, 1); got != 0xdd {
		t.Errorf("output port = %#x, want dd: A20 off", got)
	}
}

func TestInterruptFollowsTheOutputBuffer(t *testing.T) {
	bus, _, _, irq := newBus(t)
	bus.Out(DataPort, 1, 0xf2)
	if irq.level {
		t.Error("interrupt while disabled")
	}
	bus.Out(CommandPort, 1, 0x60)
	bus.Out(DataPort, 1, ctrKeyboardIRQ)
	if !irq.level {
		t.Error("no interrupt when enabled with a byte waiting")
	}
	bus.In(DataPort, 1)
	if irq.level {
		t.Error("reading the byte did not clear the interrupt")
	}
	bus.Out(DataPort, 1, 0xf2)
	if !irq.level {
		t.Error("no interrupt for the absent keyboard's time-out")
	}
	bus.In(DataPort, 1)
	bus.Out(CommandPort, 1, 0xd4)
	bus.Out(DataPort, 1, 0xf2)
	if irq.level {
		t.Error("the mouse's byte raised the keyboard's interrupt")
	}
}

func TestAccessesDoNotAllocate(t *testing.T) {
	bus, _, _, _ := newBus(t)
	if n := testing.AllocsPerRun(100, func() {
		bus.Out(CommandPort, 1, 0x20)
		bus.In(CommandPort, 1)
		bus.In(DataPort, 1)
		bus.Out(DataPort, 1, 0xff)
	}); n != 0 {
		t.Errorf("%v allocations, want none", n)
	}
}

// FuzzRegisters drives both ports with pairs of bytes: port and direction,
// value.
func FuzzRegisters(f *testing.F) {
	f.Add([]byte{3, 0xaa, 0, 0, 3, 0x60, 2, 1, 2, 0xf2})
	f.Add([]byte{3, 0xd1, 2, 0xfe, 3, 0xd4, 2, 0xff, 1, 0, 0, 0})
	f.Fuzz(func(t *testing.T, program []byte) {
		bus, c, _, irq := newBus(t)
		for ; len(program) >= 2; program = program[2:] {
			port := uint16(DataPort + 4*uint16(program[0]&1))
			if program[0]&2 == 0 {
				bus.In(port, 1)
			} else {
				bus.Out(port, 1, uint32(program[1]))
			}
			if bus.In(CommandPort, 1)&2 != 0 {
				t.Fatal("input buffer full")
			}
			if irq.level && c.status&stsOutput == 0 {
				t.Fatal("interrupt without a byte")
			}
		}
	})
}
