package api

import "time"

// Operation is an act that takes its time. It goes on when the client that asked for it is gone.
type Operation struct {
	ID       string    `json:"id"`
	Kind     string    `json:"kind"`             // vm.start, vm.shutdown, host.restart, …
	Target   string    `json:"target,omitempty"` // the VM's name
	By       string    `json:"by"`               // who asked for it
	State    string    `json:"state"`            // running, succeeded, failed or cancelled
	Progress Progress  `json:"progress,omitzero"`
	Message  string    `json:"message,omitempty"` // what it is doing
	Error    *Error    `json:"error,omitempty"`   // why it failed
	Created  time.Time `json:"created"`
	Finished time.Time `json:"finished,omitzero"`
	CanStop  bool      `json:"canCancel"`
}

// States of an Operation.
const (
	OpRunning   = "running"
	OpSucceeded = "succeeded"
	OpFailed    = "failed"
	OpCancelled = "cancelled"
)

// Progress is how far it is.
type Progress struct {
	Done  uint64 `json:"done"`
	Total uint64 `json:"total"` // 0: unknown
	Unit  string `json:"unit"`  // bytes, vms, …
}

// Operations is the answer to a list of them, the newest first.
type Operations struct {
	Operations []Operation `json:"operations"`
}
