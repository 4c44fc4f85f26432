package core

import (
	"keel/arch/amd64"
	policy "keel/vmkernel/sched"
	"keel/vmkernel/sys"
)

// A timerHeap holds the worlds that wait with a deadline on a processor: a binary heap, the
// earliest first, of world indices, in page frames. The scheduler's lock protects it.
type timerHeap struct {
	n     uint32
	items uintptr // [maxWorlds]uint32
}

// timerPages are the frames of a heap.
const timerPages = (4*maxWorlds + amd64.PageSize - 1) / amd64.PageSize

// prepare takes the heap's frames.
func (h *timerHeap) prepare() {
	pa := allocPages(timerPages, ownerKeel)
	if pa == 0 {
		fatal("too little memory for a processor's timers", 0)
	}
	h.items = amd64.DirectMap + uintptr(pa)
}

// item is the heap's place i.
func (h *timerHeap) item(i uint32) *uint32 { return at[uint32](h.items + 4*uintptr(i)) }

func (h *timerHeap) first() *world { return worldAt(*h.item(0)) }

func (h *timerHeap) less(a, b uint32) bool {
	return worldAt(*h.item(a)).deadline < worldAt(*h.item(b)).deadline
}

func (h *timerHeap) swap(a, b uint32) {
	x, y := h.item(a), h.item(b)
	*x, *y = *y, *x
	worldAt(*x).timerPos = a + 1
	worldAt(*y).timerPos = b + 1
}

func (h *timerHeap) up(i uint32) {
	for i > 0 && h.less(i, (i-1)/2) {
		h.swap(i, (i-1)/2)
		i = (i - 1) / 2
	}
}

func (h *timerHeap) down(i uint32) {
	for {
		k := 2*i + 1
		if k >= h.n {
			return
		}
		if k+1 < h.n && h.less(k+1, k) {
			k++
		}
		if !h.less(k, i) {
			return
		}
		h.swap(i, k)
		i = k
	}
}

// startTimer has w woken at deadline, in ns, on the processor where it is, but a thread not on one that is a machine's alone.
func startTimer(w *world, deadline uint64) {
	away := w.kind == kindThread && cpus[w.cpu].owned()
	if away {
		w.cpu = sys.HostCPU
	}
	h := &cpus[w.cpu].timers
	w.deadline = deadline
	*h.item(h.n) = w.id
	h.n++
	w.timerPos = h.n
	h.up(h.n - 1)
	if away && w.timerPos == 1 {
		cpus[w.cpu].kick() // its own timer is set for later
	}
}

func cancelTimer(w *world) {
	if w.timerPos == 0 {
		return
	}
	h := &cpus[w.cpu].timers
	i := w.timerPos - 1
	h.n--
	if i != h.n {
		h.swap(i, h.n)
		h.down(i)
		h.up(i)
	}
	w.timerPos = 0
}

// expireTimers wakes the worlds whose time has come. What a thread's system call returns then is
// decided by what it waited for.
func (c *cpu) expireTimers(now uint64) {
	c.expireSerial(now)
	for c.timers.n > 0 {
		w := c.timers.first()
		if w.deadline > now {
			return
		}
		cancelTimer(w)
		w.timeout()
		wake(w)
	}
}

// arm sets the local APIC's timer for the next thing to do: a sleeper's deadline, the time at which the
// policy wants to be asked again, or the guest's own timer. Where there is none of these, no timer comes.
func (c *cpu) arm(now uint64) {
	var next uint64
	if c.timers.n > 0 {
		next = c.timers.first().deadline
	}
	// What is over, or is to be asked at once, is for look.
	if t := sched.Until(c.id); t != policy.Never && t > now && (next == 0 || t < next) {
		next = t
	}
	if c.current != 0 && worldAt(c.current).kind == kindVCPU {
		// One that waited looks at its timers before it is entered: no interrupt is needed for what is over.
		if v := at[vcpu](worldAt(c.current).vcpu); v.nextTSC != never {
			if ns := tscToNS(v.nextTSC) + 1; (ns > now || v.lastExit != 0) && (next == 0 || ns < next) {
				next = ns
			}
		}
	}
	if t := c.serialDue(); t != 0 && (next == 0 || t < next) {
		next = t
	}
	if next == 0 {
		if c.armed != 0 {
			c.armed = 0
			disarmTimer()
		}
		return
	}
	if c.armed != next {
		c.armed = next
		armTimer(next)
	}
}

// timerFired is the local APIC's timer interrupt: dispatch does the work.
func (c *cpu) timerFired() { c.armed = 0 }
