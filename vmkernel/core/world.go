package core

import (
	"sync/atomic"

	"keel/arch/amd64"
)

// A world is what is scheduled: a thread of the Go runtime, or a virtual processor. It lives in a
// page frame of its own and is named by its index, or by its address.
type world struct {
	ctx context // first: assembly reaches it at the world's address; at a multiple of 64

	id     uint32
	kind   worldKind
	state  worldState
	cpu    uint32 // where it runs or ran last
	next   uint32 // in a run queue, 0 ends
	queued bool

	// What a blocked thread waits for.
	wait     waitKind
	futex    uintptr // the word's address
	waitNext uint32  // in a futex bucket, 0 ends
	deadline uint64  // ns; 0 none
	timerPos uint32  // 1 + index in a timer heap, 0 none
	slice    uint64  // ns at which its turn ends

	// Signals of a thread.
	sigPending uint64
	sigMask    uint64
	altStack   stackT

	// Virtual processors.
	vcpu   uintptr // a thread's: the vcpu that it runs; a vcpu world's: itself
	caller uint32  // the thread that waits in vmrun

	epollBuf  uintptr
	spun      uint64 // ns that it slept last for having been found spinning, 0 for having been found at work
	runtimeNS uint64 // time on a processor
	since     uint64
}

type worldKind uint8

const (
	kindNone worldKind = iota
	kindThread
	kindVCPU
)

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
	waitSpin
)

const maxWorlds = 512

// worlds maps an index to the address of a world. Index 0 is none.
var worlds [maxWorlds]uintptr

func worldAt(id uint32) *world { return at[world](worlds[id]) }

// newWorld makes a blocked world, nil where there is no memory or no index left. The scheduler's
// lock is held.
func newWorld(kind worldKind) *world {
	for id := uint32(1); id < maxWorlds; id++ {
		if worlds[id] != 0 && worldAt(id).state != stateFree {
			continue
		}
		if worlds[id] == 0 {
			pa := allocFrame(ownerKeel)
			if pa == 0 {
				return nil
			}
			worlds[id] = amd64.DirectMap + uintptr(pa)
		}
		w := worldAt(id)
		*at[page](worlds[id]) = page{}
		w.id, w.kind, w.state = id, kind, stateBlocked
		w.cpu = me().id
		return w
	}
	return nil
}

// sched is the one lock over worlds' states, run queues, futexes and timers.
var sched spinlock

// A runqueue is a processor's list of runnable worlds, first come first served.
type runqueue struct {
	head, tail uint32
	n          uint32
	current    uint32 // the running world, 0 when idle
	idle       uint32 // read by others without the lock
	resched    bool   // dispatch has something to do
	armed      uint64 // ns for which the timer is set, 0: not
}

// slice is a thread's or virtual processor's turn when others wait, ns.
const slice = 2_000_000

func (q *runqueue) push(w *world) {
	w.next, w.queued = 0, true
	if q.tail != 0 {
		worldAt(q.tail).next = w.id
	} else {
		q.head = w.id
	}
	q.tail = w.id
	q.n++
}

func (q *runqueue) pushFront(w *world) {
	w.next, w.queued = q.head, true
	q.head = w.id
	if q.tail == 0 {
		q.tail = w.id
	}
	q.n++
}

func (q *runqueue) pop() *world {
	if q.head == 0 {
		return nil
	}
	w := worldAt(q.head)
	q.head = w.next
	if q.head == 0 {
		q.tail = 0
	}
	w.next, w.queued = 0, false
	q.n--
	return w
}

// wake makes a blocked world runnable: where it ran last if that processor is idle, else on an
// idle processor, else where it ran last. The lock is held.
func wake(w *world) {
	if w.state != stateBlocked {
		return
	}
	w.wait = waitNone
	cancelTimer(w)
	w.state = stateRunnable
	c := &cpus[w.cpu]
	if atomic.LoadUint32(&c.sched.idle) == 0 {
		for i := 0; i < nCPUs; i++ {
			if o := &cpus[i]; atomic.LoadUint32(&o.online) != 0 && atomic.LoadUint32(&o.sched.idle) != 0 && o.sched.n == 0 {
				c = o
				break
			}
		}
	}
	if w.kind == kindThread {
		// Threads go before virtual processors.
		front := c.sched.head != 0 && worldAt(c.sched.head).kind == kindVCPU
		if front {
			c.sched.pushFront(w)
		} else {
			c.sched.push(w)
		}
	} else {
		c.sched.push(w)
	}
	if c != me() {
		c.kick()
	} else {
		c.sched.resched = true
	}
}

// kick makes a processor look at its run queue.
func (c *cpu) kick() {
	if atomic.SwapUint32(&c.kicked, 1) == 0 {
		sendIPI(c.apicID, vecKick)
	}
}

// steal takes a runnable world from the longest queue of another processor. The lock is held.
func (c *cpu) steal() *world {
	var from *cpu
	for i := 0; i < nCPUs; i++ {
		if o := &cpus[i]; o != c && o.sched.n > 0 && (from == nil || o.sched.n > from.sched.n) {
			from = o
		}
	}
	if from == nil {
		return nil
	}
	return from.sched.pop()
}

// dispatch chooses the world to run and returns once that is a thread, for the assembly to resume.
// Virtual processors run inside it.
func (c *cpu) dispatch() {
	for {
		sched.lock()
		atomic.StoreUint32(&c.kicked, 0)
		c.sched.resched = false
		now := nanotime()
		c.expireTimers(now)
		q := &c.sched
		var w *world
		if q.current != 0 {
			w = worldAt(q.current)
		}
		if w != nil && w.state == stateRunning && w.cpu == c.id {
			if q.n == 0 || (now < w.slice && !(w.kind == kindVCPU && worldAt(q.head).kind == kindThread)) {
				c.arm(now)
				sched.unlock()
				if c.resume(w) {
					return
				}
				continue
			}
			w.state = stateRunnable
			w.runtimeNS += now - w.since
			q.push(w)
		}
		q.current = 0
		w = q.pop()
		if w == nil {
			w = c.steal()
		}
		if w == nil {
			c.world = 0
			c.arm(now)
			atomic.StoreUint32(&q.idle, 1)
			sched.unlock()
			c.idle()
			atomic.StoreUint32(&q.idle, 0)
			c.pollFlush() // nobody waited for it, see flushAll
			continue
		}
		c.counter.switches++
		w.state, w.cpu, w.slice, w.since = stateRunning, c.id, now+slice, now
		q.current = w.id
		c.arm(now)
		sched.unlock()
		if c.resume(w) {
			return
		}
	}
}

// resume prepares a thread to be resumed and returns true, or runs a virtual processor until it
// gives the processor up.
func (c *cpu) resume(w *world) bool {
	if w.kind == kindThread {
		c.world = addrOf(w)
		w.deliverSignals()
		return w.state == stateRunning
	}
	c.world = 0
	c.runVCPU(w)
	c.drainPending()
	return false
}

// idle halts until an interrupt, unless there is something to do already.
func (c *cpu) idle() {
	if atomic.LoadUint32(&c.kicked) == 0 && c.pending == [4]uint64{} {
		c.pollFlush()
		if !c.scrub() {
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

// leave takes the current world off its processor. The lock is held.
func (w *world) leave() {
	c := me()
	w.runtimeNS += nanotime() - w.since
	if c.sched.current == w.id {
		c.sched.current = 0
	}
}

// yield puts the current thread behind the others.
func (w *world) yield() { w.slice = 0 }
