package main

import (
	"keel/vmkernel/api"
	"keel/vmkernel/api/backend"
	"keel/vmkernel/sys"
)

var worldStates = [...]string{sys.WorldBlocked: "blocked", sys.WorldReady: "ready", sys.WorldRunning: "running", sys.WorldLimited: "ready", sys.WorldPaused: "paused"}

// Worlds implements backend.Host.
func (m managed) Worlds() (list []api.World) {
	names, shares := map[sys.VMHandle]string{}, map[sys.VMHandle]uint64{}
	for _, v := range m.vms.List() {
		if h, on := v.Handle(); on {
			names[h], shares[h] = v.Name(), uint64(v.Spec().CPU.Shares)
		}
	}
	var s sys.WorldStats
	for id := uint32(0); sys.GetWorldStats(id, &s) == nil; id = s.ID + 1 {
		w := api.World{ID: uint64(s.ID), Kind: "thread", CPU: int(s.CPU), Used: s.Used, Ready: s.Ready, Blocked: s.Blocked + s.Paused, Stolen: s.Stolen}
		if s.Kind == sys.WorldVCPU {
			w.Kind, w.VM, w.VCPU, w.Shares = "vcpu", names[s.VM], int(s.VCPU), shares[s.VM]
		}
		if int(s.State) < len(worldStates) {
			w.State = worldStates[s.State]
		}
		list = append(list, w)
	}
	return list
}

// Metrics implements backend.Host.
func (m managed) Metrics() []backend.Metric {
	var s sys.Stats
	sys.GetStats(&s)
	one := func(name, kind, help string, value uint64) backend.Metric {
		return backend.Metric{Name: name, Kind: kind, Help: help, Samples: []backend.Sample{{Value: float64(value)}}}
	}
	c := m.net().NIC().Stats()
	return []backend.Metric{
		one("keel_syscalls_total", "counter", "System calls of the upper half.", s.Syscalls),
		one("keel_interrupts_total", "counter", "Interrupts of the host's devices and timers.", s.Interrupts),
		one("keel_page_faults_total", "counter", "Page faults of the upper half.", s.Faults),
		one("keel_switches_total", "counter", "Switches between worlds.", s.Switches),
		one("keel_ipis_total", "counter", "Interrupts between processors.", s.IPIs),
		one("keel_upper_mapped_bytes", "gauge", "Memory that the upper half has mapped.", s.UpperMapped),
		one("keel_upper_backed_bytes", "gauge", "Memory that the upper half has.", s.UpperBacked),
		one("keel_network_receive_frames_total", "counter", "Frames that came.", c.Received),
		one("keel_network_receive_bytes_total", "counter", "Bytes that came.", c.ReceivedBytes),
		one("keel_network_transmit_frames_total", "counter", "Frames that were sent.", c.Sent),
		one("keel_network_transmit_bytes_total", "counter", "Bytes that were sent.", c.SentBytes),
		one("keel_network_dropped_frames_total", "counter", "Frames that were to be sent.", c.Dropped),
		one("keel_network_bad_frames_total", "counter", "Frames that came damaged.", c.Bad),
		one("keel_network_resets_total", "counter", "Times that the card had to be reset.", c.Resets),
	}
}
