package api

import (
	"time"

	"keel/vmkernel/seed"
)

// States of a VM.
const (
	Stopped  = "stopped"
	Starting = "starting"
	Running  = "running"
	Paused   = "paused"
	Stopping = "stopping"
)

// States are all of them.
var States = []string{Stopped, Starting, Running, Paused, Stopping}

// VM is a virtual machine: what it is to be, and how it is.
type VM struct {
	Spec   seed.VM     `json:"spec"` // the seed's description; files are images, by name or by id
	State  string      `json:"state"`
	Since  time.Time   `json:"since"`            // when it came into this state
	Reason string      `json:"reason,omitempty"` // why it stopped last
	Alone  []int       `json:"alone,omitempty"`  // the logical processors that it has for itself now
	Serial []VMConsole `json:"serial,omitempty"` // its consoles
	Next   bool        `json:"next,omitempty"`   // never set: it is here for older clients
}

// VMConsole is a serial port of a VM.
type VMConsole struct {
	Port     string    `json:"port"`             // ttyS0, …
	Holder   string    `json:"holder,omitempty"` // who types there; empty: nobody
	Since    time.Time `json:"since,omitzero"`   // since when
	Watchers []string  `json:"watchers,omitempty"`
	End      int64     `json:"end"` // bytes that the guest has written
}

// VMSummary is a VM in a list.
type VMSummary struct {
	Name   string            `json:"name"`
	ID     string            `json:"id"`
	State  string            `json:"state"`
	Since  time.Time         `json:"since"`
	Reason string            `json:"reason,omitempty"`
	CPUs   int               `json:"cpus"`
	Memory uint64            `json:"memory"` // bytes
	Labels map[string]string `json:"labels,omitempty"`
}

// VMs is the answer to a list of VMs, in the order of their creation.
type VMs struct {
	VMs   []VMSummary       `json:"vms"`
	Scope map[string]string `json:"scope,omitempty"` // there may be others: the caller's role is for VMs with these labels
}

// VMStats is what a VM used since it was started. Times are in ns, summed over its virtual processors.
type VMStats struct {
	State    string            `json:"state"`
	Used     uint64            `json:"usedNS"`                  // processor time in guest mode and on its behalf
	Ready    uint64            `json:"readyNS"`                 // waiting for a processor
	Limited  uint64            `json:"limitedNS"`               // kept from one by a limit, or for being ahead of others of the VM
	Blocked  uint64            `json:"blockedNS"`               // idle
	Paused   uint64            `json:"pausedNS"`                // with the VM
	Stolen   uint64            `json:"stolenNS"`                // Ready and Limited: it wanted a processor and had none
	Longest  uint64            `json:"longestWaitNS,omitempty"` // of one virtual processor's waits for a processor
	Exits    map[string]uint64 `json:"exits"`                   // by their reason, but for those that never happened
	Memory   uint64            `json:"memory"`                  // bytes that the VM was given
	Resident uint64            `json:"resident"`                // of these, bytes that the host holds for it now
	Granted  uint64            `json:"granted,omitempty"`       // Resident, and bytes that are set aside for it
	Active   *uint64           `json:"active,omitempty"`        // of Resident, bytes that the guest touched of late; left out where nobody knows
	Target   uint64            `json:"target,omitempty"`        // bytes that it is to hold at most, by shares and by what it leaves idle
	Balloon  uint64            `json:"balloon"`                 // of Memory, bytes that its balloon holds
	Waiting  int               `json:"waiting,omitempty"`       // virtual processors that wait for memory
}

// VMSpec is the body of a create or an update: the seed's description of a VM, in JSON.
type VMSpec = seed.VM
