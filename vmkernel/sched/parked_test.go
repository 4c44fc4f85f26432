package sched

import "testing"

// parked is a Scheduler with two virtual processors of a VM. One has reached its limit, at the time at, and is parked at processor
// 0, which looks no more. The other may run on processor 1 only, where it has run for as long if it began with the first.
func parked(t *testing.T, together bool) (s *Scheduler, limited, free ID, at uint64) {
	t.Helper()
	s, _, vcpus := small(t, 2)
	limited, free, at = vcpus[0], vcpus[1], 10
	if !s.SetPolicy(limited, &Policy{Shares: 1000, Limit: 100}, 1) || !s.SetMember(1, 1, true) || !s.SetAffinity(free, 1, 1) {
		t.Fatal("no limit or affinity")
	}
	s.Wake(limited, at)
	_, until := s.Pick(0, at)
	if together {
		s.Wake(free, at)
		if id, until := s.Pick(1, at); id != free || until != Never {
			t.Fatalf("node %d runs until %d", id, until)
		}
	}
	kicks(s)
	for range 100 {
		at = until
		if _, until = s.Pick(0, at); s.State(limited) == Parked {
			return s, limited, free, at
		}
	}
	t.Fatal("it doesn't reach its limit")
	return nil, None, None, 0
}

// TestASiblingIsToldOfOneThatIsParked: it runs without a timer, and now looks in time at whether it is too far ahead.
func TestASiblingIsToldOfOneThatIsParked(t *testing.T) {
	s, _, _, at := parked(t, true)
	if c := s.TakeKick(); c != 1 {
		t.Fatalf("processor %d is kicked", c)
	}
	if _, until := s.Pick(1, at); until > at+SkewMax+s.soonest() {
		t.Errorf("it looks after %d ns", until-at)
	}
}

// TestAParkedSiblingRunsInsteadOfOneAhead: if it may go on by then, also where its own processor hasn't looked yet.
func TestAParkedSiblingRunsInsteadOfOneAhead(t *testing.T) {
	s, limited, _, at := parked(t, true)
	if id, _ := s.Pick(1, at+SkewMax+100_000); id != limited {
		t.Errorf("node %d runs, want %d", id, limited)
	}
	if bad := s.Check(); bad != "" {
		t.Error(bad)
	}
}

// TestAParkedSiblingIsGivenATurn: by one that spins, but not before it may go on.
func TestAParkedSiblingIsGivenATurn(t *testing.T) {
	s, limited, free, at := parked(t, false)
	s.Wake(free, at)
	kicks(s)
	s.Pick(1, at)
	for _, x := range []struct {
		later uint64
		want  ID
	}{{0, free}, {Slice / 2, limited}} {
		s.Yield(1)
		if id, _ := s.Pick(1, at+x.later); id != x.want {
			t.Errorf("after %d ns: node %d runs, want %d", x.later, id, x.want)
		}
		if bad := s.Check(); bad != "" {
			t.Error(bad)
		}
	}
}

// TestAThreadIsLookedAtAfterASlice: from when a guest waits for its processor, which had a later timer for one that is parked there.
func TestAThreadIsLookedAtAfterASlice(t *testing.T) {
	s, _, _, at := parked(t, true)
	thread := s.Create(s.system, 30, 0, &Policy{Shares: 1000})
	guest := s.Create(Root, 31, 0, &Policy{Shares: 1000})
	s.Wake(thread, at)
	kicks(s)
	if id, until := s.Pick(0, at); id != thread || until <= at+Slice+s.soonest() {
		t.Fatalf("node %d runs for %d ns", id, until-at)
	}
	s.Wake(guest, at)
	if s.State(guest) != Ready || s.Nodes[guest].cpu != 0 {
		t.Fatal("it doesn't wait for the thread's processor")
	}
	if c := s.TakeKick(); c != 0 {
		t.Errorf("processor %d is kicked", c)
	}
	if _, until := s.Pick(0, at); until > at+Slice+s.soonest() {
		t.Errorf("the thread goes on for %d ns", until-at)
	}
}
