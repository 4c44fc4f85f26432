package api

import "time"

// Event is something that happened, one JSON object a line. An empty line says only that the host is still there.
type Event struct {
	Sequence uint64            `json:"sequence"` // from 1 at each boot; parameter from takes it
	Time     time.Time         `json:"time"`
	Kind     string            `json:"kind"`           // vm.started, vm.stopped, operation.finished, …; lost: Data.events are no longer kept
	VM       string            `json:"vm,omitempty"`   // its name
	ID       string            `json:"id,omitempty"`   // the VM's, the image's or the operation's id
	Data     map[string]string `json:"data,omitempty"` // what else there is to say, such as reason
}

// MediaLines is the media type of streams: a JSON object a line.
const MediaLines = "application/x-ndjson"
