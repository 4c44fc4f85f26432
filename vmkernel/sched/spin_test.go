package sched

import (
	"fmt"
	"testing"
)

// TestSpinnersLetTheHolderRun: seven virtual processors wait for a lock by spinning, and give their turns up as soon as they do.
// Who has it runs nearly all the time, though it used more than they did.
func TestSpinnersLetTheHolderRun(t *testing.T) {
	const (
		spin  = 2_000 // ns until a spinner is found out
		begin = 10_000_000
		end   = 60_000_000
	)
	for _, cpus := range []int{1, 3} {
		t.Run(fmt.Sprintf("%d processors", cpus), func(t *testing.T) {
			s, _, all := small(t, cpus)
			vm := s.Parent(all[0])
			for i := len(all); i < 8; i++ {
				all = append(all, s.Create(vm, 20+ID(i), 0, &Policy{Shares: 1000}))
			}
			for _, id := range all {
				s.Wake(id, 1000)
			}
			kicks(s)
			next := make([]uint64, cpus)
			holder, used := all[7], uint64(0)
			for {
				c := 0
				for i := range next {
					if next[i] < next[c] {
						c = i
					}
				}
				now := next[c]
				if now >= end {
					break
				}
				if used == 0 && now >= begin {
					used = s.Used(holder)
				}
				cur := s.Current(uint32(c))
				if now > begin && cur != None && cur != holder && s.Contended(uint32(c)) {
					s.Yield(uint32(c))
				}
				id, until := s.Pick(uint32(c), now)
				next[c] = until
				if id != holder && now > begin {
					next[c] = min(until, now+spin)
				}
				for k := s.TakeKick(); k >= 0; k = s.TakeKick() {
					next[k] = min(next[k], now+1)
				}
				if bad := s.Check(); bad != "" {
					t.Fatal(bad)
				}
			}
			if u := s.Used(holder) - used; u < (end-begin)*85/100 {
				t.Errorf("the holder had %d µs of %d", u/1000, (end-begin)/1000)
			}
		})
	}
}

// TestWhoIsTooFarAheadInheritsNoTurn: the rest of a sibling's turn isn't given to one that is too far ahead of another that runs.
func TestWhoIsTooFarAheadInheritsNoTurn(t *testing.T) {
	for _, lead := range []uint64{SkewMax - Slice, SkewMax + Slice} {
		s, _, v := small(t, 2)
		now := uint64(1_000_000_000)
		m := drive(s, now)
		for _, id := range v {
			s.Wake(id, now)
			m.run(1000)
		}
		heir := v[2]
		if s.State(v[0]) != Running || s.State(v[1]) != Running || s.State(heir) != Ready {
			t.Fatal("it isn't the third that waits")
		}
		s.forgo(heir)
		s.Nodes[heir].progress = s.Nodes[v[0]].progress + lead
		s.await(heir)
		c := s.CPU(v[0])
		s.Yield(c)
		if id, _ := s.Pick(c, m.now+1000); (id == heir) != (lead < SkewMax) {
			t.Errorf("%d us ahead: node %d has the rest of the turn, that one is %d", lead/1000, id, heir)
		}
		if bad := s.Check(); bad != "" {
			t.Error(bad)
		}
	}
}
