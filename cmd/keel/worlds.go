package main

import (
	"strconv"

	"keel/vmkernel/api"
	"keel/vmkernel/api/backend"
	"keel/vmkernel/seed"
	"keel/vmkernel/sys"
	"keel/vmkernel/vm"
)

var worldStates = [...]string{sys.WorldBlocked: "blocked", sys.WorldReady: "ready", sys.WorldRunning: "running", sys.WorldLimited: "limited", sys.WorldPaused: "paused"}

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
		w := worldOf(&s)
		if s.Kind == sys.WorldVCPU {
			w.VM, w.Shares = names[s.VM], shares[s.VM]
		}
		list = append(list, w)
	}
	return list
}

// worldOf is what the lower half says of a world.
func worldOf(s *sys.WorldStats) api.World {
	w := api.World{ID: uint64(s.ID), Kind: "thread", CPU: int(s.CPU), Used: s.Used, Ready: s.Ready, Limited: s.Limited, Blocked: s.Blocked,
		Paused: s.Paused, Stolen: s.Stolen, Longest: s.MaxReady, Outside: s.Outside, Turns: s.Picks}
	if int(s.State) < len(worldStates) {
		w.State = worldStates[s.State]
	}
	if s.Kind == sys.WorldVCPU {
		w.Kind, w.VCPU, w.Exits = "vcpu", int(s.VCPU), vm.ExitReasons(&s.Exits)
	}
	return w
}

// Metrics implements backend.Host.
func (m managed) Metrics() []backend.Metric {
	var s sys.Stats
	sys.GetStats(&s)
	one := func(name, kind, help string, value uint64) backend.Metric {
		return backend.Metric{Name: name, Kind: kind, Help: help, Samples: []backend.Sample{{Value: float64(value)}}}
	}
	c := m.net().NIC().Stats()
	return append(policyMetrics(m.vms), []backend.Metric{
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
	}...)
}

// policyMetrics say what pools and VMs together have had of the host, and how its memory stands.
func policyMetrics(vms *vm.Manager) []backend.Metric {
	of := func(name, kind, help string) backend.Metric {
		return backend.Metric{Name: name, Kind: kind, Help: help}
	}
	put := func(m *backend.Metric, value float64, labels ...string) {
		m.Samples = append(m.Samples, backend.Sample{Labels: labels, Value: value})
	}
	used := of("keel_pool_processor_seconds_total", "counter", "Processor time of a pool's VMs; system is Keel's own threads.")
	paced := of("keel_system_paced", "gauge", "1 while Keel's own threads are above their part of the processors.")
	granted := of("keel_pool_granted_bytes", "gauge", "Memory that a pool's VMs hold.")
	committed := of("keel_pool_committed_bytes", "gauge", "Memory that is kept for a pool.")
	for _, p := range vms.PoolStats() {
		put(&used, float64(p.Used)/1e9, "pool", p.Name)
		if p.Name == seed.SystemPool {
			put(&paced, oneIf(p.Paced))
			continue
		}
		put(&granted, float64(p.Granted), "pool", p.Name)
		put(&committed, float64(p.Committed), "pool", p.Name)
	}
	s := vms.MemoryStats()
	unreserved := of("keel_memory_unreserved_bytes", "gauge", "Memory for VMs that nobody holds or has reserved.")
	pressure := of("keel_memory_pressure", "gauge", "1 while there is so little memory that VMs grow slowly.")
	free := of("keel_node_free_bytes", "gauge", "Free memory of a NUMA node, by its ACPI proximity domain.")
	clean := of("keel_node_clean_bytes", "gauge", "Of that, zeroed already.")
	if s.VMs != 0 {
		put(&unreserved, float64(s.Unreserved))
		put(&pressure, oneIf(s.Pressure))
	}
	for _, n := range s.Nodes {
		node := strconv.FormatUint(n.Domain, 10)
		put(&free, float64(n.Free), "node", node)
		put(&clean, float64(n.Clean), "node", node)
	}
	return []backend.Metric{used, paced, granted, committed, unreserved, pressure, free, clean}
}

func oneIf(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
