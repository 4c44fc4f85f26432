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
