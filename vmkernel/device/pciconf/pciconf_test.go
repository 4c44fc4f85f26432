package pciconf

import (
	"fmt"
	"testing"

	"keel/vmkernel/device"
)

type reset struct{ log []string }

func (r *reset) In(port uint16, size int) uint32 {
	r.log = append(r.log, fmt.Sprintf("in %d/%d", port, size))
	return 0x0a
}

func (r *reset) Out(port uint16, size int, v uint32) {
	r.log = append(r.log, fmt.Sprintf("out %d/%d %#x", port, size, v))
}

func TestOnlyBytesReachTheResetRegister(t *testing.T) {
	var r reset
	var bus device.Bus
	if err := bus.AddPorts("pci", First, Ports, New(&r)); err != nil {
		t.Fatal(err)
	}
	// Linux's probe for mechanism 1, and addresses whose second byte would
	// be a reset command.
	bus.Out(0xcfb, 1, 1)
	bus.Out(0xcf8, 4, 0x80000000)
	if got := bus.In(0xcf8, 4); got != 0xffffffff {
		t.Errorf("CONFIG_ADDRESS reads %#x, want ones", got)
	}
	bus.Out(0xcf8, 4, 0x80000600)
	bus.Out(0xcf8, 2, 0x0600)
	bus.Out(0xcf9, 2, 0x0606)
	for _, size := range []int{1, 2, 4} {
		if got, want := bus.In(0xcfc, size), ^uint32(0)>>(32-8*size); got != want {
			t.Errorf("CONFIG_DATA reads %#x, want %#x", got, want)
		}
	}
	if len(r.log) != 0 {
		t.Errorf("wide accesses reached the reset register: %q", r.log)
	}
	if got := bus.In(0xcf9, 1); got != 0x0a {
		t.Errorf("reset register reads %#x, want 0x0a", got)
	}
	bus.Out(0xcf9, 1, 6)
	if got, want := fmt.Sprint(r.log), "[in 0/1 out 0/1 0x6]"; got != want {
		t.Errorf("reset register saw %s, want %s", got, want)
	}
}
