package vm

import (
	"fmt"
	"time"

	"keel/vmkernel/console"
	"keel/vmkernel/device"
	"keel/vmkernel/device/acpipm"
	"keel/vmkernel/device/balloon"
	"keel/vmkernel/device/exitport"
	"keel/vmkernel/device/i8042"
	"keel/vmkernel/device/i8254"
	"keel/vmkernel/device/i8259"
	"keel/vmkernel/device/pciconf"
	"keel/vmkernel/device/rtc"
	"keel/vmkernel/device/uart"
	"keel/vmkernel/device/virtio"
	"keel/vmkernel/seed"
	"keel/vmkernel/vm/acpitable"
	"keel/vmkernel/vm/guestmem"
)

// Interrupts of the machine keel-1, by ISA number and GSI alike.
const (
	irqKeyboard = 1
	irqRTC      = 8
)

// serialPorts are the four that a VM may have, by name.
var serialPorts = [...]struct {
	name string
	port uint16
	irq  uint8
}{
	{"ttyS0", 0x3F8, 4},
	{"ttyS1", 0x2F8, 3},
	{"ttyS2", 0x3E8, 4},
	{"ttyS3", 0x2E8, 3},
}

// lowerPorts belong to devices of the lower half. They are on the Bus so that no other device gets
// them, and for what the lower half leaves to it: string instructions, and accesses to several ports.
var lowerPorts = [...]struct {
	name  string
	port  uint16
	count int
}{
	{"8259 master", i8259.PortMasterCommand, 2},
	{"8259 slave", i8259.PortSlaveCommand, 2},
	{"ELCR", i8259.PortMasterELCR, 2},
	{"8254", i8254.PortCounter0, 4},
	{"port B", i8254.PortB, 1},
	{"POST", postPort, 1},
	{"PM timer", acpitable.PMTimerPort, 4},
}

const postPort = 0x80

// A portSpace gives access to the ports of the lower half's devices.
type portSpace interface {
	readPort(port uint16, size int) uint32
	writePort(port uint16, size int, v uint32)
}

// A lowerDevice is a device of the lower half, from port first on. But for the PM timer its ports are
// of a byte each.
type lowerDevice struct {
	lower portSpace
	first uint16
}

func (d lowerDevice) In(port uint16, size int) uint32 {
	if size > 1 && d.first != acpitable.PMTimerPort {
		return device.SplitIn(d, port, size)
	}
	return d.lower.readPort(d.first+port, size)
}

func (d lowerDevice) Out(port uint16, size int, v uint32) {
	if size > 1 && d.first != acpitable.PMTimerPort {
		device.SplitOut(d, port, size, v)
		return
	}
	d.lower.writePort(d.first+port, size, v)
}

// A board is a VM's devices, as far as they are in the upper half.
type board struct {
	bus   device.Bus
	pm    *acpipm.PM1
	lines []*uart.Lines
	ports []connection
	alarm *alarm
	err   error // the first of AddPorts and AddMMIO

	balloon *balloon.Device
	virtio  []*virtio.MMIO // the transports, to be given the guest's memory
}

// A connection is a UART's to the console of its port.
type connection struct {
	port *console.Port
	uart *uart.UART
}

// setMemory gives the devices the guest's memory, before it runs.
func (b *board) setMemory(m *guestmem.Memory) {
	for _, t := range b.virtio {
		t.SetMemory(m)
	}
}

// newBoard makes the devices of spec. lower has those of the lower half; line gives the machine's interrupt lines by number; out
// is where its serial ports lead; pages takes the guest's memory back.
func newBoard(spec *seed.VM, m device.Machine, lower portSpace, line func(gsi uint8) device.Line, out outlets, pages balloon.Host) (*board, error) {
	b := &board{}
	for _, p := range lowerPorts {
		if p.port == postPort {
			b.add(p.name, p.port, p.count, device.Ignore{})
			continue
		}
		b.add(p.name, p.port, p.count, lowerDevice{lower, p.port})
	}
	b.addSerial(spec, line, out)

	kbd := i8042.New(m, line(irqKeyboard))
	b.add("i8042 data", i8042.DataPort, 1, kbd.Data())
	b.add("i8042 command", i8042.CommandPort, 1, kbd.Command())

	b.alarm = &alarm{}
	clock := rtc.New(time.Now, line(irqRTC), b.alarm)
	b.alarm.calls(clock.Tick)
	b.add("RTC", rtc.First, rtc.Ports, clock)

	b.add("PCI configuration", pciconf.First, pciconf.Ports, pciconf.New(acpipm.NewReset(m)))
	b.pm = acpipm.New(m, line(acpitable.SCI))
	b.add("ACPI PM1", acpipm.First, acpipm.Ports, b.pm)
	var transport *virtio.MMIO
	b.balloon, transport = balloon.New(pages, line(acpitable.BalloonGSI))
	b.addVirtio("balloon", acpitable.BalloonBase, transport)
	if p := spec.Debug.ExitPort; p != 0 {
		b.add("debug.exitPort", p, exitport.Ports, exitport.New(m))
	}
	if b.err != nil {
		b.close()
		return nil, found{b.err, ErrInvalid}
	}
	return b, nil
}

// add claims ports, and remembers the first error.
func (b *board) add(name string, first uint16, count int, d device.PortDevice) {
	if err := b.bus.AddPorts(name, first, count, d); err != nil && b.err == nil {
		b.err = err
	}
}

// addVirtio puts a virtio device on the bus.
func (b *board) addVirtio(name string, base uint64, t *virtio.MMIO) {
	b.virtio = append(b.virtio, t)
	if err := b.bus.AddMMIO(name, base, virtio.Size, t); err != nil && b.err == nil {
		b.err = err
	}
}

// addSerial adds the serial ports that spec lists. Two of them share each interrupt.
func (b *board) addSerial(spec *seed.VM, line func(gsi uint8) device.Line, out outlets) {
	shared := map[uint8]*device.SharedLine{}
	for i := range serialPorts {
		irq := serialPorts[i].irq
		if shared[irq] == nil {
			shared[irq] = device.NewSharedLine(line(irq))
		}
	}
	for _, s := range spec.Serial {
		found := false
		for _, p := range serialPorts {
			if p.name != s.Name {
				continue
			}
			found = true
			u := b.serial(s, shared[p.irq].Input(), out)
			b.add(p.name, p.port, uart.Ports, u)
		}
		if !found && b.err == nil {
			b.err = fmt.Errorf("vm: no serial port %q: there are ttyS0 to ttyS3", s.Name)
		}
	}
}

// serial makes the UART of a serial port.
func (b *board) serial(s seed.Serial, irq device.Line, out outlets) *uart.UART {
	var lines *uart.Lines
	if s.Log == seed.LogHost {
		lines = guestConsole(out.host, out.name)
		b.lines = append(b.lines, lines)
	}
	port := out.port(s.Name)
	var recv func([]byte) int
	if port != nil {
		recv = port.Pull
	}
	u := uart.New(func(c byte) {
		if port != nil {
			port.Put(c)
		}
		if lines != nil {
			lines.Put(c)
		}
	}, recv, irq)
	if port != nil {
		port.Connect(u)
		b.ports = append(b.ports, connection{port, u})
	}
	return u
}

// close switches the consoles off, lets out the lines that have begun and stops the clock's alarm.
func (b *board) close() {
	for _, l := range b.lines {
		l.Flush()
	}
	for _, c := range b.ports {
		c.port.Disconnect(c.uart)
	}
	b.alarm.t.Stop()
}

// An alarm is an rtc.Timer.
type alarm struct{ t *time.Timer }

// calls sets what the alarm does.
func (a *alarm) calls(tick func()) {
	a.t = time.AfterFunc(time.Hour, tick)
	a.t.Stop()
}

// Set arranges for one call after d, or none for negative d.
func (a *alarm) Set(d time.Duration) {
	switch {
	case a.t == nil:
	case d < 0:
		a.t.Stop()
	default:
		a.t.Reset(d)
	}
}
