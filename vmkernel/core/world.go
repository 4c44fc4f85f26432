package core

import (
	"sync/atomic"

	"keel/arch/amd64"
	policy "keel/vmkernel/sched"
)

// A world is what is scheduled: a thread of the Go runtime, or a virtual processor. It lives in a
// page frame of its own and is named by its index, or by its address.
type world struct {
	ctx context // first: assembly reaches it at the world's address; at a multiple of 64

	id    uint32
	kind  worldKind
	state worldState
	cpu   uint32    // where it runs or ran last
	node  policy.ID // as package sched knows it

	// What a blocked thread waits for.
	wait     waitKind
	futex    uintptr // the word's address
	waitNext uint32  // in a futex bucket, or the list of free worlds; 0 ends
	deadline uint64  // ns; 0 none
	timerPos uint32  // 1 + index in a timer heap, 0 none

	// Signals of a thread.
	sigPending uint64
	sigMask    uint64
	altStack   stackT

	// Virtual processors.
	vcpu   uintptr // a thread's: the vcpu that it runs; a vcpu world's: itself
	caller uint32  // the thread that waits in vmrun

	// The virtual processor for which a thread works, see settle: its world, that one's created, and what
	// the thread had used then.
	behalf     uint32
	behalfBorn uint64
	behalfUsed uint64

	epollBuf uintptr
	created  uint64 // ns; no two worlds that have had one index share it
	billed   uint64 // ns, of a virtual processor: see repay
}

type worldKind uint8

const (
	kindNone worldKind = iota
	kindThread
	kindVCPU
)

// A worldState is what the world is for the rest of the lower half. Of the runnable ones the policy
// knows which wait for a processor, and which are parked or paused.
type worldState uint32

const (
	stateFree worldState = iota
	stateRunnable
	stateRunning
	stateBlocked
)

type waitKind uint8

const (
	waitNone waitKind = iota
	waitFutex
	waitSleep
	waitEpoll
	waitVCPU
	waitInterrupt
	waitIRQ
)

// worlds maps an index to the address of a world. Index 0 is none. Those above nWorlds were never used;
// freeWorlds begins the list of those that are free again.
var (
	worlds     [maxWorlds + 1]uintptr
	nWorlds    uint32
	freeWorlds uint32
)

func worldAt(id uint32) *world { return at[world](worlds[id]) }

// newWorld makes a blocked world in a group of the policy, nil where there is no memory or no index left.
// The scheduler's lock is held.
func newWorld(kind worldKind, group policy.ID) *world {
	id := freeWorlds
	switch {
	case id != 0:
		freeWorlds = worldAt(id).waitNext
	case nWorlds < maxWorlds:
		pa := allocFrame(ownerKeel)
		if pa == 0 {
			return nil
		}
		nWorlds++
		id = nWorlds
		worlds[id] = amd64.DirectMap + uintptr(pa)
	default:
		return nil
	}
	w := worldAt(id)
	last := w.created
	*at[page](worlds[id]) = page{}
	w.id, w.kind, w.state = id, kind, stateBlocked
	w.cpu = me().id
	w.created = max(nanotime(), last+1)
	w.node = sched.Create(group, policy.ID(id), 0, &policy.Policy{Shares: worldShares})
	if w.node == policy.None {
		w.free()
		return nil
	}
	return w
}

// end makes a world that isn't running free. Its page may be the next world's from the unlock on. The
// lock is held.
func (w *world) end(now uint64) {
	if !sched.Destroy(w.node, now) {
		fatal("a world was ended that runs", uint64(w.id))
	}
	w.free()
}

func (w *world) free() {
	w.state, w.waitNext = stateFree, freeWorlds
	freeWorlds = w.id
}

// wake makes a blocked world runnable. The lock is held.
func wake(w *world) {
	if w.state != stateBlocked {
		return
	}
	w.wait = waitNone
	cancelTimer(w)
	w.state = stateRunnable
	sched.Wake(w.node, nanotime())
}

// dispatch chooses the world to run and returns once that is a thread, for the assembly to resume.
// Virtual processors run inside it.
func (c *cpu) dispatch() {
	for {
		sched.lock()
		c.look()
		if c.current == 0 {
			c.world = 0
			atomic.StoreUint32(&c.idling, 1)
			sched.unlock()
			c.idle()
			atomic.StoreUint32(&c.idling, 0)
			c.pollFlush() // nobody waited for it, see flushAll
			continue
		}
		sched.unlock()
		for on := true; on; on = c.chosen() {
			if c.resume(worldAt(c.current)) {
				return
			}
		}
	}
}

// chosen says whether what the processor is to run was chosen when a virtual processor had to leave, see
// mustLeave, and nothing has come up since that look is for.
func (c *cpu) chosen() bool {
	return c.asked != 0 && c.current != 0 && c.armed != 0 && atomic.LoadUint32(&c.kicked) == 0 && !c.mustAsk()
}

// resume prepares a thread to be resumed and returns true, or runs a virtual processor until it
// gives the processor up.
func (c *cpu) resume(w *world) bool {
	if w.kind == kindThread {
		c.world = addrOf(w)
		w.deliverSignals()
		c.switched()
		return w.state == stateRunning
	}
	c.world = 0
	c.runVCPU(w)
	c.drainPending()
	return false
}

// idle halts until an interrupt, unless there is something to do already.
func (c *cpu) idle() {
	if atomic.LoadUint32(&c.kicked) == 0 && !c.mustAsk() && c.pending == [4]uint64{} {
		c.pollFlush()
		if c.owned() || !c.scrub() {
			amd64.StiHlt()
		}
	} else {
		amd64.STI()
		amd64.PAUSE()
		amd64.CLI()
	}
	c.drainPending()
}

// block ends the turn of the current thread; the lock is held. The caller has set what it waits
// for. deadline is in ns, 0 for none. Its context was saved when it entered the lower half, so once
// the lock is given back another processor may wake and run it: from then on the caller must touch
// neither the world nor its context, and a system call returns resultSet.
func (w *world) block(kind waitKind, deadline uint64) {
	w.state, w.wait = stateBlocked, kind
	w.leave()
	if deadline != 0 {
		startTimer(w, deadline)
	}
}

// leave takes the current world off its processor. The lock is held. Where it is a thread that runs in
// the name of a virtual processor, it is that one which the policy takes off.
func (w *world) leave() {
	c, now := me(), nanotime()
	sched.Block(c.id, now)
	w.repay(now)
	atomic.StoreUint32(&c.lent, 0)
	c.current = 0
}

// yield puts the current thread behind the others. A thread is asked to because another has a lock, so
// that always happens.
func (c *cpu) yield() {
	sched.lock()
	c.settle(nanotime())
	sched.Yield(c.id)
	c.resched = true
	sched.unlock()
}
