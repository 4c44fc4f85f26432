// Package sched is the processor policy: which world runs on which processor, and for how long. It is
// pure Go without a machine in it; package vmkernel/core asks it and does what it says, and package sim
// simulates machines of any size under it.
//
// # What is promised
//
// Worlds are the leaves of a tree of groups. Every node has shares, a reservation and a limit.
//
//   - Shares: processor time goes by shares at each level of the tree, and what a node can't use goes to
//     its siblings first. The error is some 2 ms of service at any time, see tags.go; three saturating
//     VMs with shares 1 : 2 : 4 and one to eight virtual processors each get their part of one second
//     within 1 % of it on 1, 2, 3, 4 and 8 processors (sim.TestShares), and so do VMs of one pool beside others, within 1 % of the
//     machine (sim.TestSharesInAPool).
//   - Reservation, limit: in every interval t a node gets at least r(t - 2*ReserveLag) - 5*Slice, and at
//     most l(t + LimitBurst) and LimitBurst/4 for each that runs, see rates.go.
//   - The system group's threads go before guests up to its limit. Above it they are paced, never
//     stopped, and none waits longer than SystemWait. While guests wait for each of n processors that runs none they get
//     at most l(t + LimitBurst + 2*Slice) + n(Slice + soonest) in every interval t.
//   - Latency: a world that slept runs at once unless it used its part already; sleeping earns
//     WakeCredit and no more.
//   - Skew: a virtual processor isn't further ahead than SkewMax of one of its VM that waits or is parked, unless that one gave
//     its turn up, or of one that runs. Who blocks isn't waited for, see skew.go.
//   - Nobody starves: a key is at most keyTurns of the world's own turns ahead of its processor's clock.
//     Of a pool whose worlds have several affinity sets only that is promised, not its part by shares: it has one tag, which goes by
//     the clocks of one of the sets at a time, see affinity.go.
//   - Home: a world runs next to its memory where that costs no share, see home.go.
//   - Timers: a processor with one world, or none, takes none, unless a limit is to be watched.
//
// # Who calls it
//
// The lower half, at run time: Pick, Wake, Block, Urge, Withdraw, Yield, Switch, Bill and TakeKick; on behalf of the
// upper half: Create, Destroy, Move, SetPolicy, SetAffinity, SetHome, SetMember, SetExclusive, Requeue, Pause and Resume. None of
// them allocates, stores a Go pointer, blocks, or touches more than a logarithm of the worlds; the
// walks over processors take one step for 64 of them, but those of SetPolicy, SetAffinity, Move, Bring, and of Destroy in a pool
// one for each, and that of SetExclusive one for each affinity set and processor. The package has no state but a Scheduler's, which
// lives in arrays that the caller made; nodes and processors are indices. It decides and does nothing:
// Pick returns a world, and TakeKick the processors that have to call Pick soon.
//
// Admission, whether reservations can be met at all, is package admit's, which is ordinary Go.
//
// # Locking
//
// One lock protects a Scheduler: every method needs it, and TakeKick is called before it is given
// back. Decisions take some 3,000 instructions, a microsecond, with up to a
// thousand worlds, so one lock serves some tens of processors: with 64, at one decision a millisecond
// each, it is held for a tenth of the time. For more, it can be divided: the queues of
// a CPU and the state of the worlds in them are only reached through that CPU. What would
// remain shared are the tags of groups (which could be charged by atomic addition: only differences
// that are large against one turn matter), the tournaments, and the sets in Memory.Bits; probe,
// pull, push and move would have to take the other processor's lock by trying, and pass it over if it is held.
//
// # Time
//
// Times are in ns of one clock that doesn't go back; calls may come with times that are a little
// older than others', as processors' clocks differ: then nothing is charged.
package sched
