package core

import (
	"math/bits"
	"sync/atomic"

	"keel/arch/amd64"
	"keel/vmkernel/mem"
)

// Free memory is zeroed while a processor has nothing else to do, so that who takes it finds it zero:
// what somebody gave back all of it, and of what nobody had yet some, see mem.Scrubber. Only wholly
// free blocks are: to zero a single frame when it is taken costs little.
//
// The frames that are being zeroed, a word of a block's bits at a time, are nobody's meanwhile. That
// is less than the spare frames, and one processor does it at a time, so that what was promised is
// there. It looks for interrupts before each frame.

var scrubber mem.Scrubber

func initScrub() { scrubber = mem.NewScrubber(frames.total) }

// scrub zeroes some free memory if any is to be. It says whether there was any; the caller, who has
// nothing to run, then looks again whether that is still so.
func (c *cpu) scrub() bool {
	i, w, had := takeDirty()
	if had == 0 {
		return false
	}
	base := uint64(i)*amd64.HugeSize + uint64(w)*64*amd64.PageSize
	done := uint64(0)
	for left := had; left != 0; left &= left - 1 {
		amd64.STI()
		amd64.PAUSE()
		amd64.CLI()
		if atomic.LoadUint32(&c.kicked) != 0 || c.pending != [4]uint64{} {
			break
		}
		f := uint64(bits.TrailingZeros64(left))
		*phys[page](base + f*amd64.PageSize) = page{}
		done |= 1 << f
	}
	putClean(i, w, had, done)
	return true
}

// takeDirty takes up to 64 free frames of a block that aren't known to be zero, had's bits of word w.
func takeDirty() (i uint32, w int, had uint64) {
	frames.lock.lock()
	i = noBlock
	if !frames.scrubbing && scrubber.Next(frames.clean, frames.soiled) {
		for k := 0; k < numNodes; k++ {
			head := frames.lists[k][listDirty].head
			if head != noBlock && (i == noBlock || blockAt(head).used && !blockAt(i).used) {
				i = head
			}
		}
	}
	if i == noBlock {
		frames.lock.unlock()
		return 0, 0, 0
	}
	b := blockAt(i)
	for w = 0; had == 0; w++ {
		had = b.free[w] &^ b.clean[w]
	}
	w--
	b.free[w] &^= had
	relist(i, -ones(had), 0)
	frames.scrubbing = true
	frames.lock.unlock()
	return i, w, had
}

// putClean puts the frames of takeDirty back, of which done's are zero now.
func putClean(i uint32, w int, had, done uint64) {
	frames.lock.lock()
	b := blockAt(i)
	b.free[w] |= had
	b.clean[w] |= done
	relist(i, ones(had), ones(done))
	frames.scrubbing = false
	frames.lock.unlock()
}

// ones counts bits; package bits' own asks whether the processor has POPCNT.
func ones(x uint64) (n int) {
	for ; x != 0; x &= x - 1 {
		n++
	}
	return n
}
