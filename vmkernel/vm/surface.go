package vm

import (
	"io"

	"keel/vmkernel/console"
	"keel/vmkernel/device"
	"keel/vmkernel/device/ioapic"
	"keel/vmkernel/device/lapic"
	"keel/vmkernel/seed"
)

// A Reach is a range of I/O ports or guest-physical addresses that a guest can reach, and what
// answers there.
type Reach struct {
	Name  string
	First uint64
	Size  uint64 // ports or bytes
	Lower bool   // the lower half answers, else a device model of the upper half
}

// everyPort is a VM with all that a VM can have.
func everyPort() *seed.VM {
	spec := &seed.VM{Name: "surface", Debug: seed.Debug{ExitPort: 0xF4}}
	for _, p := range serialPorts {
		spec.Serial = append(spec.Serial, seed.Serial{Name: p.name, Log: seed.LogHost})
	}
	return spec
}

// SurfacePorts lists the I/O ports that a guest can reach, from the table by which they are
// answered: debug.exitPort is shown at F4H, where the VM has one. All other ports read ones.
func SurfacePorts() ([]Reach, error) {
	b, err := newBoard(everyPort(), noMachine{}, noMachine{}, func(uint8) device.Line { return device.Unconnected{} }, noOutlets, noMachine{})
	if err != nil {
		return nil, err
	}
	defer b.close()
	var list []Reach
	for i, p := range b.bus.Ports() {
		list = append(list, Reach{p.Name, uint64(p.First), uint64(p.Count), i < len(lowerPorts)})
	}
	return list, nil
}

// SurfaceMMIO lists the guest-physical addresses outside RAM that a guest can reach.
func SurfaceMMIO() ([]Reach, error) {
	list := []Reach{
		{"IOAPIC", ioapic.BaseAddress, pageSize, true},
		{"local APIC", lapic.BaseAddress, pageSize, true},
	}
	b, err := newBoard(everyPort(), noMachine{}, noMachine{}, func(uint8) device.Line { return device.Unconnected{} }, noOutlets, noMachine{})
	if err != nil {
		return nil, err
	}
	defer b.close()
	for _, r := range b.bus.MMIO() {
		list = append(list, Reach{r.Name, r.First, r.Size, false})
	}
	return list, nil
}

// noOutlets are those of serial ports that nobody prints to.
var noOutlets = outlets{io.Discard, func() string { return "surface" }, func(string) *console.Port { return nil }}

// noMachine is the device.Machine and the portSpace of devices that nobody uses.
type noMachine struct{}

func (noMachine) PowerOff()    {}
func (noMachine) Reset(string) {}
func (noMachine) Exit(uint32)  {}

func (noMachine) readPort(uint16, int) uint32   { return 0 }
func (noMachine) writePort(uint16, int, uint32) {}

func (noMachine) Release(gpa, n uint64) {}
func (noMachine) Claim(gpa, n uint64)   {}
func (noMachine) Settle() bool          { return true }
