// Package mem is the memory policy: who may have how many of the host's page frames, who is to give some back, and
// what to refuse. It knows no machine; it counts pages of 4 KiB and decides.
//
// The rule that it keeps is the invariant of the Tree: what VMs hold, and what they and their pools have reserved and
// don't hold yet, is never more than there is. So a reservation is there at once, whatever other guests do, and what
// can't be had is refused by an error with the numbers. A VM whose reservation is lent to others for now is expected: they are asked
// for it, and what they have given back is kept for it. A pool's reservation is a floor, as package admit has it for
// processors: VMs in it may reserve more, one or together, which is had from the pool above; a limit is what they may not
// pass. Beyond reservations memory is lent: by shares, with idle pages
// counting for more (Balance), and asked back by balloon targets. A guest can refuse to give back; then it keeps what
// it has, gets no more, and others are told that there is none. A guest that waits can't fill its balloon either, so the last
// of the memory is kept for those who are to give back: a page at a time, and the more slowly the less there is.
//
// The VM manager calls it, from one goroutine at a time, and the lower half the Scrubber. It must never guess at what
// guests say of themselves: what they hold is counted by the host, and a Sample's figures can only turn shares into less
// than they would be.
package mem
