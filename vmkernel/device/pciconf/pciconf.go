package pciconf

import "keel/vmkernel/device"

const (
	// First is the first port of the mechanism, CONFIG_ADDRESS.
	First = 0xcf8
	// Ports is how many ports it takes: CONFIG_ADDRESS and CONFIG_DATA.
	Ports = 8

	resetOffset = 1 // CF9H
)

// Config is a device.PortDevice of 8 ports.
type Config struct {
	reset device.PortDevice
}

// New returns the ports; one-byte accesses to CF9H go to port 0 of reset.
func New(reset device.PortDevice) *Config { return &Config{reset} }

// In returns all ones, except for the reset register.
func (c *Config) In(port uint16, size int) uint32 {
	if port == resetOffset && size == 1 {
		return c.reset.In(0, 1)
	}
	return ^uint32(0)
}

// Out has no effect, except for the reset register.
func (c *Config) Out(port uint16, size int, v uint32) {
	if port == resetOffset && size == 1 {
		c.reset.Out(0, 1, v)
	}
}
