package core

import "keel/arch/amd64"

// An owner is whose a page frame is. Every frame has one, and is given back in its owner's name: a
// frame that is another's is a fatal fault rather than a page that two can reach.
type owner uint16

const (
	ownerNone  owner = iota // it is free, or was never Keel's to give
	ownerKeel               // the lower half's own
	ownerUpper              // memory of the Go program
	ownerVM                 // of machine 0: its memory, and after that its overhead; then machine 1's...

	numOwners = ownerVM + 2*maxMachines
)

// memoryOf and overheadOf are the owners of a machine's memory, and of what it costs beyond: page
// tables, virtual processors.
func memoryOf(id uint32) owner   { return ownerVM + 2*owner(id) }
func overheadOf(id uint32) owner { return ownerVM + 2*owner(id) + 1 }

// frameOwners counts for each owner the frames that it has, and those that are set aside for it. The
// frames' lock protects it.
var frameOwners [numOwners]struct {
	count  uint64
	budget uint64 // frames of frames.promised that only it takes
	home   uint8  // the node that its frames come from while there are any
}

// budgeted says whether o takes only what was set aside for it before.
func (o owner) budgeted() bool { return o >= ownerVM && (o-ownerVM)%2 == 0 }

func (o owner) home() uint8 { return frameOwners[o].home }

func ownerOf(frame uint64) *owner { return at[owner](frames.owners + uintptr(frame)*ownerSize) }

// got makes n frames o's, and draws them from what was set aside for it. The lock is held.
func (o owner) got(frame, n uint64) {
	for i := uint64(0); i < n; i++ {
		*ownerOf(frame + i) = o
	}
	a := &frameOwners[o]
	a.count += n
	drawn := min(n, a.budget)
	a.budget -= drawn
	frames.promised -= drawn
}

// lost makes n frames of o nobody's. The lock is held.
func (o owner) lost(frame, n uint64) {
	for i := uint64(0); i < n; i++ {
		p := ownerOf(frame + i)
		if *p != o {
			fatal("a page frame was freed by who doesn't own it", (frame+i)*amd64.PageSize)
		}
		*p = ownerNone
	}
	frameOwners[o].count -= n
}

// spareFrames are kept for page tables and the lower half's own objects, 2 MiB, and scarceFrames of
// them even from devices that touch a guest's memory that isn't there, see windowFault.
const (
	spareFrames  = 512
	scarceFrames = 128
)

// promise sets n frames aside for memory of the upper half that is mapped but not yet backed, of which
// the caller keeps the count.
func promise(n uint64) bool {
	frames.lock.lock()
	ok := frames.promised+n+spareFrames <= frames.freeCount
	if ok {
		frames.promised += n
	}
	frames.lock.unlock()
	return ok
}

// repromise sets n frames aside that were backed until now and are about to be freed.
func repromise(n uint64) {
	frames.lock.lock()
	frames.promised += n
	frames.lock.unlock()
}

// unpromise gives a promise of n frames back, kept or not.
func unpromise(n uint64) {
	frames.lock.lock()
	frames.promised -= n
	frames.lock.unlock()
}

// setAside sets n frames aside for o, where spare ones are left then.
func (o owner) setAside(n, spare uint64) bool {
	frames.lock.lock()
	ok := n <= frames.freeCount && frames.promised+n+spare <= frames.freeCount
	if ok {
		frames.promised += n
		frameOwners[o].budget += n
	}
	frames.lock.unlock()
	return ok
}

// letGo gives back what was set aside for o, n frames at most.
func (o owner) letGo(n uint64) {
	frames.lock.lock()
	a := &frameOwners[o]
	n = min(n, a.budget)
	a.budget -= n
	frames.promised -= n
	frames.lock.unlock()
}

// keep sets aside for o what it is about to free, n frames, as far as it has less than least without
// them.
func (o owner) keep(n, least uint64) {
	frames.lock.lock()
	a := &frameOwners[o]
	if left := a.count - n + a.budget; left < least {
		n = min(n, least-left)
		a.budget += n
		frames.promised += n
	}
	frames.lock.unlock()
}

// holds is how many frames o has, and how many are set aside for it.
func (o owner) holds() (count, budget uint64) {
	frames.lock.lock()
	a := &frameOwners[o]
	count, budget = a.count, a.budget
	frames.lock.unlock()
	return count, budget
}
