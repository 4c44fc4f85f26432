package exitport

import "keel/vmkernel/device"

// Ports is how many ports an exit port takes, so that a write of any width at
// the first one arrives whole.
const Ports = 4

// Port is a device.PortDevice of 4 ports.
type Port struct {
	machine device.Machine
}

// New returns an exit port for m.
func New(m device.Machine) *Port { return &Port{m} }

// In returns all ones.
func (p *Port) In(uint16, int) uint32 { return ^uint32(0) }

// Out ends the VM with the code v.
func (p *Port) Out(_ uint16, _ int, v uint32) { p.machine.Exit(v) }
