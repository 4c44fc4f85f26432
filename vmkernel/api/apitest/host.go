package apitest

import (
	"context"
	"sync"
	"time"

	"keel/vmkernel/api"
	"keel/vmkernel/api/backend"
)

// Host is a machine that remembers what it was told.
type Host struct {
	Stopped func()           // what happens at a stop; nil: nothing
	Ends    bool             // a stop ends well, and Stopped comes later, as on a machine
	Figures []backend.Metric // beside the server's own

	mu       sync.Mutex
	network  api.NetworkConfig
	pending  *api.Pending
	servers  []string
	problems []string
	others   []string // seeds that weren't used
	used     uint64   // processor time of the vCPU's world
	stops    []Stop
}

// Stop is how a host was told to stop.
type Stop struct{ Restart, Force bool }

// Stops are how the host was told to stop.
func (h *Host) Stops() []Stop {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.stops
}

// HasSeedNotUsed has the host report a seed that it didn't use, as a problem too.
func (h *Host) HasSeedNotUsed(why string) {
	h.HasProblem(why)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.others = append(h.others, why)
}

// HasProblem has the host report a problem.
func (h *Host) HasProblem(text string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.problems = append(h.problems, text)
}

// Info is the server's, as are the methods that follow.
func (h *Host) Info() api.Host {
	h.mu.Lock()
	defer h.mu.Unlock()
	return api.Host{State: "ready", Started: time.Now().Add(-time.Hour).UTC(), Health: api.Health{State: "ok", Problems: h.problems}, Seed: api.HostSeed{Others: h.others},
		Hardware: api.Hardware{CPUs: 2, Virtualisation: "vt-x", TSCHz: 80_000_000, ClockSource: "hpet", Memory: 1 << 30,
			Cards: []api.Card{{Address: "0000:00:03.0", Driver: "e1000"}, {Address: "0000:00:04.0"}}},
		Resources: api.HostResources{MemoryUsed: 10 << 20, MemoryFree: 900 << 20, Worlds: 9,
			Nodes: []api.HostNode{{CPUs: []int{0}, Memory: 600 << 20, MemoryFree: 500 << 20}, {Node: 7, CPUs: []int{1}, Memory: 424 << 20, MemoryFree: 400 << 20}}}}
}

func (h *Host) Time() api.HostTime {
	h.mu.Lock()
	defer h.mu.Unlock()
	return api.HostTime{Now: time.Now().UTC(), Source: "sntp", Servers: h.servers}
}

func (h *Host) SetTime(in api.HostTimeSet) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if in.Servers != nil {
		h.servers = *in.Servers
	}
	return nil
}

func (h *Host) Network() api.Network {
	h.mu.Lock()
	defer h.mu.Unlock()
	return api.Network{Card: api.Card{Address: "0000:00:03.0", Driver: "e1000"}, Config: h.network, Pending: h.pending}
}

func (h *Host) SetNetwork(in api.NetworkConfig) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.pending = &api.Pending{Until: time.Now().Add(time.Minute).UTC(), Old: h.network}
	h.network = in
	return nil
}

func (h *Host) ConfirmNetwork() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.pending == nil {
		return failf(api.CodeConflict, "no change waits for confirmation")
	}
	h.pending = nil
	return nil
}

func (h *Host) Worlds() []api.World {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.used += 5e8
	return []api.World{{ID: 1, Kind: "thread", State: "running", Used: 5e9}, {ID: 2, Kind: "vcpu", VM: "demo", State: "limited", Used: h.used, Ready: 1e9,
		Limited: 2e9, Blocked: 3e9, Paused: 4e9, Stolen: 3e9, Exits: map[string]uint64{"hlt": h.used / 1e6, "io": 7}}}
}

func (h *Host) Metrics() []backend.Metric { return h.Figures }

func (h *Host) Stop(ctx context.Context, restart, force bool, progress func(api.Progress)) error {
	h.mu.Lock()
	h.stops = append(h.stops, Stop{restart, force})
	h.mu.Unlock()
	progress(api.Progress{Done: 1, Total: 2, Unit: "vms"})
	if h.Stopped != nil {
		go h.Stopped()
	}
	if h.Ends {
		return nil
	}
	<-ctx.Done()
	return ctx.Err()
}
