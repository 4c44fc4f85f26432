package sched

import "testing"

// TestAMovedVMCountsInItsNewPool: with worlds that run, wait, are parked, paused and asleep, whoever moves.
func TestAMovedVMCountsInItsNewPool(t *testing.T) {
	s, threads, vcpus := small(t, 2)
	rich := s.Create(Root, 3, Group, &Policy{Shares: 3000})
	poor := s.Create(Root, 4, Group, &Policy{Shares: 1000, Limit: 200})
	vm := s.Parent(vcpus[0])
	other := s.Create(rich, 5, Group|Cosched, &Policy{Shares: 1000})
	rival := s.Create(other, 50, 0, &Policy{Shares: 1000})
	now := uint64(1000)
	for _, id := range append(vcpus, rival, threads[0]) {
		s.Wake(id, now)
	}
	run := func(until uint64) {
		for now < until {
			for c := range uint32(2) {
				s.Pick(c, now)
			}
			kicks(s)
			now += 200_000
		}
	}
	run(1e8)
	for i, to := range []ID{poor, rich, Root, rich, poor, Root} {
		if i%2 == 1 {
			s.Pause(vcpus[2], now)
		} else {
			s.Resume(vcpus[2], now)
		}
		if !s.Move(vm, to, now) || s.Parent(vm) != to {
			t.Fatalf("move %d was refused", i)
		}
		if bad := s.Check(); bad != "" {
			t.Fatalf("after move %d: %s", i, bad)
		}
		used := s.Used(vm)
		began := now
		run(now + 4e8)
		if bad := s.Check(); bad != "" {
			t.Fatalf("after move %d, later: %s", i, bad)
		}
		if rate := float64(s.Used(vm)-used) / float64(now-began); to == poor && rate > 0.23 {
			t.Errorf("below a limit of 20 %% it used %.0f %%", 100*rate)
		} else if to != poor && rate < 0.45 {
			t.Errorf("move %d: it used %.0f %%", i, 100*rate)
		}
	}
	system := s.Parent(threads[0])
	if own := s.Create(system, 6, Group|Cosched, &Policy{Shares: 1000}); own == None || s.Move(own, Root, now) {
		t.Error("a group of Keel's own threads, which pre-empt guests, was put among those")
	}
	if s.Move(vm, system, now) || s.Move(vm, vm, now) || s.Move(vm, other, now) || s.Move(rich, Root, now) || s.Move(vcpus[0], rich, now) {
		t.Error("what can't be was done")
	}
}

// TestAThreadGoesOnWhereAVCPUHasTheProcessorAlone: as its exit leads there, and at its next turn it is elsewhere.
func TestAThreadGoesOnWhereAVCPUHasTheProcessorAlone(t *testing.T) {
	s, threads, vcpus := small(t, 2)
	if !s.SetMember(1, 1, true) || !s.SetExclusive(1, 1, 1) || !s.SetAffinity(vcpus[0], 1, 1) {
		t.Fatal("a processor can't be given away")
	}
	if s.SetMember(2, 1, true); s.SetExclusive(1, 2, 1) {
		t.Error("it was given away twice")
	}
	s.Wake(vcpus[0], 10)
	kicks(s)
	if id, _ := s.Pick(1, 20); id != vcpus[0] {
		t.Fatalf("node %d runs on it", id)
	}
	if !s.Switch(1, threads[0], 30) {
		t.Fatal("the exit's thread is kept from running")
	}
	s.Wake(vcpus[0], 40)
	kicks(s)
	if id, _ := s.Pick(1, 50); id != vcpus[0] {
		t.Errorf("node %d goes on", id)
	}
	kicks(s)
	if id, _ := s.Pick(0, 60); id != threads[0] {
		t.Errorf("node %d runs on the other", id)
	}
	if bad := s.Check(); bad != "" {
		t.Error(bad)
	}
}
