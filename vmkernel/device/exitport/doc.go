// Package exitport lets a test kernel end its VM with a code: a write to the
// port that the VM's debug.exitPort names stops the VM with that code as the
// reason.
//
// The rule that it keeps: nothing but the code passes, and only in a VM that
// was configured with the port. The VM's exit loop calls it through the
// device.Bus. It must never hold state.
package exitport
