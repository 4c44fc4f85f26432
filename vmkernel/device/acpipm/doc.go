// Package acpipm models the fixed ACPI hardware of a VM (ACPI 6.5, 4.8.3):
// the PM1a event and control registers, through which the guest powers off
// (S5) and learns of the power button, and the reset register (4.8.3.6).
//
// The rules that it keeps: the VM is always in ACPI mode (SCI_EN reads 1, and
// there is no SMI command port), S5 is the only sleep state, and the system
// control interrupt is level-triggered: asserted exactly while an enabled
// status bit is set. The PM timer is not here: the lower half answers it.
//
// The VM's exit loop calls it through the device.Bus, and whatever asks the
// guest to stop calls PressPowerButton. It must never block.
package acpipm
