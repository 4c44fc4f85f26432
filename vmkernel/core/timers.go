package core

// A timerHeap holds the worlds that wait with a deadline on a processor: a binary heap, the
// earliest first, of world indices. The scheduler's lock protects it.
type timerHeap struct {
	n     uint32
	items [maxWorlds]uint32
}

func (h *timerHeap) less(a, b uint32) bool {
	return worldAt(h.items[a]).deadline < worldAt(h.items[b]).deadline
}

func (h *timerHeap) swap(a, b uint32) {
	h.items[a], h.items[b] = h.items[b], h.items[a]
	worldAt(h.items[a]).timerPos = a + 1
	worldAt(h.items[b]).timerPos = b + 1
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

// startTimer has w woken at deadline, in ns, on the processor where it is.
func startTimer(w *world, deadline uint64) {
	h := &cpus[w.cpu].timers
	w.deadline = deadline
	h.items[h.n] = w.id
	h.n++
	w.timerPos = h.n
	h.up(h.n - 1)
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
		w := worldAt(c.timers.items[0])
		if w.deadline > now {
			return
		}
		cancelTimer(w)
		w.timeout()
		wake(w)
	}
}

// arm sets the local APIC's timer for the next thing to do: a sleeper's deadline, or the end of
// the turn if others wait. Deadlines may come up to slack late, so that sleeps of the runtime's
// monitor (20 µs) don't cost an interrupt each.
func (c *cpu) arm(now uint64) {
	var next uint64
	if c.timers.n > 0 {
		next = worldAt(c.timers.items[0]).deadline
	}
	q := &c.sched
	if q.current != 0 && q.n > 0 {
		if end := worldAt(q.current).slice; next == 0 || end < next {
			next = end
		}
	}
	if q.current != 0 && worldAt(q.current).kind == kindVCPU {
		if t := at[vcpu](worldAt(q.current).vcpu).nextTSC; t != never {
			if ns := tscToNS(t) + 1; next == 0 || ns < next {
				next = ns
			}
		}
	}
	if t := c.serialDue(); t != 0 && (next == 0 || t < next) {
		next = t
	}
	if q.current != 0 && worldAt(q.current).kind == kindThread {
		if t := worldAt(q.current).spinDue(now); t != 0 && (next == 0 || t < next) {
			next = t
		}
	}
	if next == 0 {
		if q.armed != 0 {
			q.armed = 0
			disarmTimer()
		}
		return
	}
	if q.armed != next {
		q.armed = next
		armTimer(now, next)
	}
}

// timerFired is the local APIC's timer interrupt: dispatch does the work.
func (c *cpu) timerFired() { c.sched.armed = 0 }
