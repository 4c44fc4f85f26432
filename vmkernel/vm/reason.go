package vm

import (
	"fmt"

	"keel/vmkernel/seed"
)

// A Cause is the kind of a VM's end.
type Cause uint8

// Causes.
const (
	PowerOff  Cause = iota + 1 // the guest switched itself off (S5)
	Reboot                     // the guest reset the machine, or faulted thrice
	ExitCode                   // the guest wrote to debug.exitPort
	Crash                      // the guest did what Keel can't go on after
	Stopped                    // the host stopped it
	HostReset                  // the host reset it
)

// A Reason says why a VM stopped. Its text is one of
//
//	power-off
//	reboot (acpi reset)
//	reboot (keyboard controller)
//	reboot (triple fault)
//	exit code N
//	crash: WHAT HAPPENED
//	stopped by the host
//	stopped by the host: WHY
//	reset by the host
type Reason struct {
	Cause Cause
	Text  string // Reboot: by which mechanism; Crash: what happened; Stopped: why, or empty
	Code  uint32 // ExitCode
}

func (r Reason) String() string {
	switch r.Cause {
	case PowerOff:
		return "power-off"
	case Reboot:
		return "reboot (" + r.Text + ")"
	case ExitCode:
		return fmt.Sprintf("exit code %d", r.Code)
	case Crash:
		return "crash: " + r.Text
	case Stopped:
		if r.Text != "" {
			return "stopped by the host: " + r.Text
		}
		return "stopped by the host"
	case HostReset:
		return "reset by the host"
	}
	return fmt.Sprintf("unknown cause %d", r.Cause)
}

// action is what the VM's description says should follow.
func (r Reason) action(spec *seed.VM) seed.Action {
	switch r.Cause {
	case PowerOff:
		return spec.OnPowerOff
	case Reboot:
		return spec.OnReboot
	case Crash:
		return spec.OnCrash
	case HostReset:
		return seed.Restart
	}
	return seed.Stop
}
