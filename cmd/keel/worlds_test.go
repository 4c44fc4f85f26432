package main

import (
	"io"
	"log/slog"
	"reflect"
	"testing"

	"keel/arch/amd64/virt"
	"keel/vmkernel/api"
	"keel/vmkernel/seed"
	"keel/vmkernel/sys"
	"keel/vmkernel/vm"
)

// twoNodes is a lower half with memory on two NUMA nodes.
type twoNodes struct{ vm.Backend }

func (twoNodes) Processors() int                             { return 2 }
func (twoNodes) FreeMemory() uint64                          { return 1 << 30 }
func (twoNodes) UsedMemory() uint64                          { return 1 << 20 }
func (twoNodes) CreatePool(*sys.CPUPolicy) (sys.Pool, error) { return 5, nil }
func (twoNodes) Nodes() *sys.Nodes {
	n := &sys.Nodes{N: 2}
	n.Node[0], n.Node[1] = sys.Node{Domain: 0, Free: 64, Clean: 8}, sys.Node{Domain: 3, Free: 128}
	return n
}
func (twoNodes) PoolStats(id sys.Pool, s *sys.PoolStats) error {
	*s = sys.PoolStats{Used: 2e9, Paced: 1}
	if id == 5 {
		s.Used = 3e9
	}
	return nil
}

func TestMetricsSayWhatPoolsAndNodesHave(t *testing.T) {
	m := vm.NewManager(twoNodes{}, vm.Host{}, slog.New(slog.DiscardHandler), io.Discard, nil)
	if err := m.AddPools([]seed.Pool{{Name: "web", Memory: seed.Share{Shares: 1, Reservation: 16 << 20}}}); err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, family := range policyMetrics(m) {
		for _, s := range family.Samples {
			name := family.Name
			for _, l := range s.Labels {
				name += " " + l
			}
			got[name] = s.Value
		}
	}
	for name, want := range map[string]float64{
		"keel_pool_processor_seconds_total pool system": 2, "keel_pool_processor_seconds_total pool web": 3, "keel_system_paced": 1,
		"keel_pool_granted_bytes pool web": 0, "keel_pool_committed_bytes pool web": 16 << 20, "keel_memory_pressure": 0,
		"keel_node_free_bytes node 0": 64, "keel_node_clean_bytes node 0": 8, "keel_node_free_bytes node 3": 128,
	} {
		if v, there := got[name]; !there || v != want {
			t.Errorf("%s is %v, want %v", name, v, want)
		}
	}
	if got["keel_memory_unreserved_bytes"] < 900<<20 {
		t.Errorf("unreserved: %v", got["keel_memory_unreserved_bytes"])
	}
}

func TestNodesShowProcessorsAndMemory(t *testing.T) {
	n := &sys.Nodes{N: 2}
	n.Node[0], n.Node[1] = sys.Node{CPUs: 0b101, Total: 9, Free: 5, Clean: 2}, sys.Node{Domain: 7, CPUs: 1<<63 | 2, Total: 3}
	want := []api.HostNode{{CPUs: []int{0, 2}, Memory: 9, MemoryFree: 5, MemoryClean: 2}, {Node: 7, CPUs: []int{1, 63}, Memory: 3}}
	if got := nodesOf(n); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v\nwant %+v", got, want)
	}
}

// TestAWorldSaysWhatKeepsIt: a limit isn't a wait for a processor, nor a pause idleness, and exits have their reasons.
func TestAWorldSaysWhatKeepsIt(t *testing.T) {
	s := sys.WorldStats{ID: 9, Kind: sys.WorldVCPU, State: sys.WorldLimited, CPU: 3, VCPU: 1, Used: 1, Ready: 2, Limited: 3, Paused: 4, Blocked: 5, Stolen: 5,
		Outside: 1, MaxReady: 2, Picks: 8}
	s.Exits[virt.KindHLT], s.Exits[virt.KindIO] = 6, 7
	want := api.World{ID: 9, Kind: "vcpu", VCPU: 1, CPU: 3, State: "limited", Used: 1, Ready: 2, Limited: 3, Paused: 4, Blocked: 5, Stolen: 5,
		Outside: 1, Longest: 2, Turns: 8, Exits: map[string]uint64{"hlt": 6, "io": 7}}
	if got := worldOf(&s); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v\nwant %+v", got, want)
	}
	for state, want := range map[uint32]string{sys.WorldBlocked: "blocked", sys.WorldReady: "ready", sys.WorldRunning: "running", sys.WorldPaused: "paused"} {
		if got := worldOf(&sys.WorldStats{Kind: sys.WorldThread, State: state}); got.State != want || got.Kind != "thread" || got.Exits != nil {
			t.Errorf("%+v, want %s", got, want)
		}
	}
}
