package acpipm

import (
	"sync/atomic"

	"keel/vmkernel/device"
)

const (
	// ResetPort is the reset register's address in the FADT (RESET_REG).
	ResetPort = 0xcf9
	// ResetValue is what the FADT says to write there (RESET_VALUE).
	ResetValue = 0x06
)

// Reset control bits, as chipsets have them at port CF9H (Intel ICH10 data
// sheet 13.7.5).
const (
	rstSystem = 1 << 1 // what kind of reset: kept, reads back
	rstCPU    = 1 << 2 // do it
	rstFull   = 1 << 3 // with a power cycle: kept, reads back
)

// Reset is the reset register, a device.PortDevice of 1 port.
type Reset struct {
	machine device.Machine
	value   atomic.Uint32
}

// NewReset returns the reset register of m.
func NewReset(m device.Machine) *Reset { return &Reset{machine: m} }

// In reads the kind of reset that was chosen last.
func (r *Reset) In(uint16, int) uint32 { return r.value.Load() }

// Out resets the VM where v has bit 2. Whatever the kind, all of the VM is
// reset.
func (r *Reset) Out(_ uint16, _ int, v uint32) {
	r.value.Store(v & (rstSystem | rstFull))
	if v&rstCPU != 0 {
		r.machine.Reset("acpi")
	}
}
