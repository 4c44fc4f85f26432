package main

import (
	"testing"
	"time"

	"keel/vmkernel/api"
)

// TestTopGoesByTheHostsClock promises that calls which take long don't make anybody use more than there is.
func TestTopGoesByTheHostsClock(t *testing.T) {
	world := func(used uint64) []api.World { return []api.World{{ID: 1, Kind: "thread", Used: used}} }
	then, now := sample{at: time.Unix(100, 0), there: 50e9, worlds: world(10e9)}, sample{at: time.Unix(101, 0), there: 54e9, worlds: world(12e9)}
	h := topHost{then: then, now: now}
	if whole, _, _ := h.usages("keel-1", false); whole.CPU != 50 {
		t.Errorf("%v %%, of 2 s in 4", whole.CPU)
	}
	h.then.there = 0 // an older version doesn't say
	if whole, _, _ := h.usages("keel-1", false); whole.CPU != 200 {
		t.Errorf("%v %%, of 2 s in 1", whole.CPU)
	}
}

// TestTopSaysOfAScopedRolesVMsWhatTheyUse promises that who may not ask for worlds isn't told that VMs use nothing.
func TestTopSaysOfAScopedRolesVMsWhatTheyUse(t *testing.T) {
	vms := []api.VMSummary{{Name: "demo", State: api.Running}, {Name: "new", State: api.Running}, {Name: "off", State: api.Stopped}}
	stats := func(used uint64) map[string]api.VMStats { return map[string]api.VMStats{"demo": {Used: used}} }
	h := topHost{then: sample{at: time.Unix(100, 0), vms: vms, stats: stats(10e9)}, now: sample{at: time.Unix(102, 0), vms: vms, stats: stats(11e9)}}
	_, all, _ := h.usages("keel-1", false)
	if len(all) != 3 || all[0].VM != "demo" || all[0].CPU != 50 || all[0].unknown {
		t.Errorf("%+v", all)
	}
	if !all[1].unknown || all[2].unknown {
		t.Errorf("what isn't known: %+v", all[1:])
	}
}

// TestTopSaysWhereAWorldsTimeWent promises that a limit, a pause and idleness are told apart, and exits by reason.
func TestTopSaysWhereAWorldsTimeWent(t *testing.T) {
	world := func(n uint64) []api.World {
		return []api.World{{ID: 7, Kind: "vcpu", VM: "demo", VCPU: 1, State: "limited", Used: n * 1e8, Ready: n * 2e8, Limited: n * 3e8, Blocked: n * 4e8,
			Paused: n * 5e8, Stolen: n * 5e8, Exits: map[string]uint64{"hlt": n * 10, "io": n * 40, "timer": 3}}}
	}
	vms := []api.VMSummary{{Name: "demo", State: api.Running}}
	h := topHost{then: sample{at: time.Unix(100, 0), vms: vms, worlds: world(1)}, now: sample{at: time.Unix(102, 0), vms: vms, worlds: world(3)}}
	_, of, each := h.usages("keel-1", true)
	for _, u := range append(of, each...) {
		if u.CPU != 10 || u.Ready != 20 || u.Limited != 30 || u.Blocked != 40 || u.Paused != 50 || u.Stolen != 50 || u.Exits["io"] != 40 || u.Exits["hlt"] != 10 || len(u.Exits) != 2 {
			t.Errorf("%+v", u)
		}
	}
	if each[0].State != "limited" || exitsOf(each[0].Exits) != "50/s: io 40, hlt 10" {
		t.Errorf("%+v", each[0])
	}
}
