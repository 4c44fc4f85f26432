package sched

import "testing"

// TestContentionThatEndsByAClockBehind: what a processor's world runs from then on nobody else wants, and so isn't counted.
func TestContentionThatEndsByAClockBehind(t *testing.T) {
	s, _, _ := small(t, 2)
	var w []ID
	for i := range ID(3) {
		w = append(w, s.Create(Root, 5+i, 0, &Policy{Shares: 1000}))
	}
	m := drive(s, 1_000_000_000)
	for _, id := range w {
		s.Wake(id, m.now)
	}
	m.run(5e6)
	for s.State(w[2]) != Ready {
		m.run(10_000)
	}
	s.Bring(m.now)
	s.Withdraw(w[2], m.now-1000)
	m.run(10e9)
	s.Wake(w[2], m.now)
	used := s.Used(w[2])
	m.run(1e9)
	if part := float64(s.Used(w[2])-used) / 1e9; part < 0.65 || part > 0.68 {
		t.Errorf("who slept has %.3f of a processor, a third of two is its part", part)
	}
}
