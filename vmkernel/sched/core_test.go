package sched

import "testing"

// small is a Scheduler with a system group, limited to 25 % of each processor, and one VM of two worlds.
func small(t *testing.T, cpus int) (s *Scheduler, threads, vcpus []ID) {
	t.Helper()
	s = &Scheduler{Memory: Memory{make([]Node, 64), make([]CPU, cpus), make([]uint64, BitWords(cpus, 4)), make([]uint32, TreeWords(cpus))}}
	if !s.Init() {
		t.Fatal("Init")
	}
	rate := uint32(250 * cpus)
	system := s.Create(Root, 1, Group|System, &Policy{Shares: 1000, Reservation: rate, Limit: rate})
	vm := s.Create(Root, 2, Group|Cosched, &Policy{Shares: 1000})
	for i := range ID(3) {
		threads = append(threads, s.Create(system, 10+i, 0, &Policy{Shares: 1000}))
		vcpus = append(vcpus, s.Create(vm, 20+i, 0, &Policy{Shares: 1000}))
	}
	for c := range uint32(cpus) {
		s.Online(c, 1)
		s.Pick(c, 1)
	}
	return s, threads, vcpus
}

func kicks(s *Scheduler) {
	for s.TakeKick() >= 0 {
	}
}

// A machine has its processors pick as their timers end, and when they are kicked.
type machine struct {
	*Scheduler
	now  uint64
	next []uint64
}

func drive(s *Scheduler, now uint64) *machine {
	m := &machine{s, now, make([]uint64, len(s.CPUs))}
	for c := range m.next {
		m.pick(c)
	}
	return m
}

func (m *machine) pick(c int) { _, m.next[c] = m.Pick(uint32(c), m.now) }

func (m *machine) run(d uint64) {
	for end := m.now + d; ; {
		for c := m.TakeKick(); c >= 0; c = m.TakeKick() {
			m.pick(int(c))
		}
		c := 0
		for i := range m.next {
			if m.next[i] < m.next[c] {
				c = i
			}
		}
		if m.next[c] >= end {
			m.now = end
			return
		}
		m.now = max(m.now, m.next[c])
		m.pick(c)
	}
}

// TestThreadsAloneArentPaced: beyond the limit of the system group, turns are as long as ever while no guest wants a processor.
func TestThreadsAloneArentPaced(t *testing.T) {
	s, threads, vcpus := small(t, 1)
	now := uint64(1000)
	for _, id := range threads {
		s.Wake(id, now)
	}
	kicks(s)
	count := func(until uint64) (n int) {
		for now < until {
			_, next := s.Pick(0, now)
			n++
			if next == Never {
				t.Fatal("no timer with three threads")
			}
			now = next
		}
		return n
	}
	if n := count(1e8); n > 500 || !s.Pacing() {
		t.Errorf("%d decisions in 0.1 s, pacing %v", n, s.Pacing())
	}
	// A guest that comes has most of the processor soon, whatever the threads had before.
	s.Wake(vcpus[0], now)
	kicks(s)
	began, used := now, s.Used(vcpus[0])
	count(began + 2e8)
	if u := s.Used(vcpus[0]) - used; u < 12e7 {
		t.Errorf("it had %d ms of 200", u/1_000_000)
	}
	if bad := s.Check(); bad != "" {
		t.Error(bad)
	}
}

// TestSwitchToAPausedWorldIsRemembered: it is wanted once it is resumed.
func TestSwitchToAPausedWorldIsRemembered(t *testing.T) {
	s, threads, vcpus := small(t, 1)
	s.Wake(threads[0], 10)
	kicks(s)
	s.Pick(0, 10)
	s.Pause(vcpus[0], 20)
	if s.CanSwitch(0, vcpus[0], 30) || s.Switch(0, vcpus[0], 30) {
		t.Error("a paused world runs")
	}
	s.Resume(vcpus[0], 1_000_040)
	kicks(s)
	if id, _ := s.Pick(0, 1_000_050); id != vcpus[0] {
		t.Errorf("node %d runs, want %d", id, vcpus[0])
	}
	if _, _, _, paused := s.Times(vcpus[0], 2_000_000); paused != 1_000_020 {
		t.Errorf("paused for %d ns", paused)
	}
}

// TestWithdrawnWorldsWantNothing: from a queue, from a limit's list, and under a pause.
func TestWithdrawnWorldsWantNothing(t *testing.T) {
	s, threads, vcpus := small(t, 1)
	s.Wake(threads[0], 10)
	s.Wake(vcpus[0], 10)
	s.Pause(vcpus[1], 10)
	s.Wake(vcpus[1], 10)
	kicks(s)
	s.Pick(0, 10)
	s.Withdraw(vcpus[0], 20)
	s.Withdraw(vcpus[1], 20)
	s.Resume(vcpus[1], 30)
	kicks(s)
	for _, id := range vcpus[:2] {
		if got := s.State(id); got != Blocked {
			t.Errorf("node %d: state %d", id, got)
		}
	}
	if bad := s.Check(); bad != "" {
		t.Error(bad)
	}
}

// TestARequeuedWorldHasItsNewReservation: at once, though it waited without one.
func TestARequeuedWorldHasItsNewReservation(t *testing.T) {
	s, _, vcpus := small(t, 1)
	other := s.Create(Root, 3, Group|Cosched, &Policy{Shares: 1_000_000})
	greedy := s.Create(other, 30, 0, &Policy{Shares: 1000})
	s.SetPolicy(s.Parent(vcpus[0]), &Policy{Shares: 1}, 5)
	s.Wake(greedy, 10)
	s.Wake(vcpus[0], 10)
	kicks(s)
	now := uint64(10)
	for now < 5e7 {
		_, now = s.Pick(0, now)
	}
	s.SetPolicy(s.Parent(vcpus[0]), &Policy{Shares: 1, Reservation: 500}, now)
	s.Requeue(vcpus[0], now)
	kicks(s)
	used, began := s.Used(vcpus[0]), now
	for now < began+10_000_000 {
		_, now = s.Pick(0, now)
	}
	if u := s.Used(vcpus[0]) - used; u < 2_000_000 {
		t.Errorf("with a reservation of 50 %% it had %d ns of 10 ms", u)
	}
}

// TestTurnsThatCostTimeAreInTheWait: paced threads wait no longer where every turn costs more than it is long, and each has its
// turn beyond that.
func TestTurnsThatCostTimeAreInTheWait(t *testing.T) {
	const cost = 40_000
	s, threads, vcpus := small(t, 1)
	s.TurnCost = cost
	s.Wake(vcpus[0], 1000)
	for _, id := range threads {
		s.Wake(id, 1000)
	}
	waited := map[ID]uint64{}
	paced := 0
	for now := uint64(1000); now < 5e8; {
		kicks(s)
		id, next := s.Pick(0, now)
		began := now
		now = max(next, now+cost) // the machine is that slow
		if !s.Pacing() {
			clear(waited)
			continue
		}
		for _, w := range threads {
			if w != id {
				continue
			}
			if last := waited[w]; last != 0 && began-last > SystemWait {
				t.Fatalf("a thread waited for %d ns", began-last)
			}
			if waited[w] = now; now-began < cost+PacedSlice {
				t.Fatalf("a turn of %d ns, of which its beginning took %d", now-began, cost)
			}
			paced++
		}
	}
	if paced < 500 {
		t.Errorf("%d paced turns", paced)
	}
}

// TestSkippedTimeIsNobodys: two guests have a processor by turns, and each turn begins after what it takes to begin one. Neither is
// charged for that, which the other's wait and its own count.
func TestSkippedTimeIsNobodys(t *testing.T) {
	const cost = 100_000
	s, _, vcpus := small(t, 1)
	other := s.Create(Root, 3, Group|Cosched, &Policy{Shares: 1000})
	guests := []ID{vcpus[0], s.Create(other, 30, 0, &Policy{Shares: 1000})}
	for _, id := range guests {
		s.Wake(id, 1000)
	}
	kicks(s)
	now, worked := uint64(1000), map[ID]uint64{}
	for last := None; now < 1e9; {
		id, next := s.Pick(0, now)
		began := now
		if id != last {
			began += cost
			s.Skip(0, 0, began)
			last = id
		}
		left := max(next, began+1) - 2_000 // it left the guest a little before the decision
		worked[id] += left - began
		now = left + 2_000
		s.Skip(0, left, now)
	}
	for _, id := range guests {
		if u := s.Used(id); u != worked[id] {
			t.Errorf("node %d is charged %d ns, and worked for %d", id, u, worked[id])
		}
		if used, waited, _, _ := s.Times(id, now); used+waited < now-2000 || used+waited > now {
			t.Errorf("node %d: %d ns used and %d waited of %d", id, used, waited, now)
		}
	}
	if bad := s.Check(); bad != "" {
		t.Error(bad)
	}
}

// TestAThreadThatIsToStopIsPickedAtOnce: however short a paced thread has waited, and whoever waits as well.
func TestAThreadThatIsToStopIsPickedAtOnce(t *testing.T) {
	s, threads, vcpus := small(t, 1)
	s.Wake(vcpus[0], 1000)
	for _, id := range threads {
		s.Wake(id, 1000)
	}
	urged := 0
	for now, last := uint64(1000), uint64(0); now < 5e8; {
		kicks(s)
		id, next := s.Pick(0, now)
		if id == vcpus[0] && s.Pacing() && now > last+10_000_000 {
			last = now
			now += 20_000
			who := threads[urged%len(threads)]
			s.Urge(who, now)
			kicks(s)
			if id, next = s.Pick(0, now); id != who {
				t.Fatalf("world %d goes before the thread that is to stop", id)
			}
			urged++
		}
		now = next
	}
	if urged < 10 {
		t.Errorf("%d threads were to stop", urged)
	}
}

// TestAPacedThreadGetsSomewhere: beyond the system group's limit, while others of it wait at another processor, a thread isn't
// interrupted all the time to see whether the limit is reached; and never before it has begun.
func TestAPacedThreadGetsSomewhere(t *testing.T) {
	const cost = 45_000
	s, threads, vcpus := small(t, 2)
	s.TurnCost = cost
	for _, id := range append(vcpus[:1:1], threads...) {
		s.Wake(id, 1000)
	}
	kicks(s)
	next := []uint64{1000, 1000}
	decisions := 0
	for {
		c := 0
		if next[1] < next[0] {
			c = 1
		}
		now := next[c]
		if now > 5e8 {
			break
		}
		_, next[c] = s.Pick(uint32(c), now)
		if s.Pacing() {
			decisions++
		}
		if next[c] < now+cost {
			t.Fatalf("the next decision is due after %d ns, and a turn begins after %d", next[c]-now, cost)
		}
		for k := s.TakeKick(); k >= 0; k = s.TakeKick() {
			next[k] = min(next[k], now+cost)
		}
	}
	if decisions == 0 || decisions > 6000 {
		t.Errorf("%d decisions in 0.5 s", decisions)
	}
	if bad := s.Check(); bad != "" {
		t.Error(bad)
	}
}
