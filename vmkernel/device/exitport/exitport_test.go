package exitport

import (
	"testing"

	"keel/vmkernel/device"
)

type machine struct{ codes []uint32 }

func (m *machine) PowerOff()        {}
func (m *machine) Reset(string)     {}
func (m *machine) Exit(code uint32) { m.codes = append(m.codes, code) }

func TestAnyWriteExitsWithItsValue(t *testing.T) {
	var m machine
	var bus device.Bus
	if err := bus.AddPorts("exit", 0xf4, Ports, New(&m)); err != nil {
		t.Fatal(err)
	}
	if got := bus.In(0xf4, 4); got != 0xffffffff {
		t.Errorf("read %#x, want ones", got)
	}
	if len(m.codes) != 0 {
		t.Fatalf("a read exits with %v", m.codes)
	}
	bus.Out(0xf4, 1, 0x11)
	bus.Out(0xf4, 2, 0x2222)
	bus.Out(0xf4, 4, 0x33333333)
	bus.Out(0xf5, 1, 0)
	want := []uint32{0x11, 0x2222, 0x33333333, 0}
	if len(m.codes) != len(want) {
		t.Fatalf("codes %#x, want %#x", m.codes, want)
	}
	for i := range want {
		if m.codes[i] != want[i] {
			t.Errorf("codes %#x, want %#x", m.codes, want)
		}
	}
}
