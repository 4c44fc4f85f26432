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
