package lapic

// Timer modes in local vector bits 18-17.
const (
	timerOneShot  = 0
	timerPeriodic = 1
	timerDeadline = 2
	// 3 is reserved: the timer doesn't run.
)

// MinPeriod is the shortest time in ns that Fire leaves between two interrupts of the periodic timer; what comes in between
// is coalesced. To leave the guest for the timer and enter it again takes a few µs, or tens on a slow machine: one that is
// interrupted more often than that executes nothing in between.
const MinPeriod = 100_000

// TimerKind says what a deadline counts.
type TimerKind uint8

// Kinds of deadlines.
const (
	TimerNone        TimerKind = iota // the timer won't interrupt
	TimerNanoseconds                  // the virtual machine's monotonic time
	TimerTSC                          // the guest's time-stamp counter
)

func (a *APIC) timerMode() uint32 { return a.get(regTimer) >> 17 & 3 }

// shift is the binary logarithm of the divider (SDM 3A figure 11-10): ns per count is 1<<shift.
func (a *APIC) shift() uint32 {
	d := a.get(regDivide)
	return ((d&3 | d>>1&4) + 1) & 7
}

// period is the initial count in ns, below 2^39.
func (a *APIC) period() uint64 { return uint64(a.get(regInitial)) << a.shift() }

// current is the current-count register at now (ns).
func (a *APIC) current(now uint64) uint32 {
	mode := a.timerMode()
	if a.expiry == 0 || mode > timerPeriodic {
		return 0
	}
	var left uint64
	if now < a.expiry {
		left = a.expiry - now
	} else if p := a.period(); mode == timerPeriodic && p != 0 {
		left = p - (now-a.expiry)%p
	}
	if p := a.period(); mode == timerPeriodic && p != 0 && left > p {
		left = (left-1)%p + 1 // expiries were left out for MinPeriod's sake
	}
	s := a.shift()
	return uint32((left + 1<<s - 1) >> s)
}

// arm starts the timer at now (ns) to run for d ns.
func (a *APIC) arm(now, d uint64) {
	a.expiry = 0
	if d == 0 {
		return
	}
	a.expiry = now + d
	if a.expiry < now {
		a.expiry = ^uint64(0)
	}
}

// Deadline is when Fire should be called next. t has been reached already if it isn't above the present.
func (a *APIC) Deadline() (t uint64, kind TimerKind) {
	if a.expiry == 0 {
		return 0, TimerNone
	}
	switch a.timerMode() {
	case timerDeadline: // also when masked: reaching the deadline clears it
		return a.expiry, TimerTSC
	case timerOneShot, timerPeriodic:
		if a.get(regTimer)&lvtMasked == 0 {
			return a.expiry, TimerNanoseconds
		}
	}
	return 0, TimerNone
}

// Fire lets the timer expire if its time has come by now (ns) and tsc (the guest's TSC), and says whether it has requested
// its interrupt. A periodic timer starts again; periods that were missed are coalesced.
func (a *APIC) Fire(now, tsc uint64) bool {
	if a.timerMode() == timerDeadline {
		if a.expiry == 0 || tsc < a.expiry {
			return false
		}
		a.expiry = 0
		return a.fireVector()
	}
	return a.fireCount(now)
}

// fireCount is Fire in the modes that count nanoseconds.
func (a *APIC) fireCount(now uint64) bool {
	if a.expiry == 0 || now < a.expiry {
		return false
	}
	p := a.period()
	if a.timerMode() != timerPeriodic || p == 0 {
		a.expiry = 0
		return a.fireVector()
	}
	late := now - a.expiry
	ahead := p - late%p
	if p < MinPeriod && ahead < MinPeriod {
		ahead += (MinPeriod - ahead + p - 1) / p * p
	}
	a.arm(now, ahead)
	return a.fireVector()
}

// fireVector requests the timer's interrupt.
func (a *APIC) fireVector() bool {
	lvt := a.get(regTimer)
	return lvt&lvtMasked == 0 && a.Accept(uint8(lvt), false)
}

// writeTimer writes the timer's local vector at now (ns). What expired before it does so by the old vector. A change to or
// from TSC-deadline mode disarms the timer (SDM 3A 11.5.4.1).
func (a *APIC) writeTimer(v uint32, now uint64) Effect {
	old := a.timerMode()
	if old <= timerPeriodic {
		a.fireCount(now)
	}
	a.writeLVT(regTimer, v)
	if mode := a.timerMode(); mode != old && (mode > timerPeriodic || old > timerPeriodic) {
		a.expiry = 0
		a.set(regInitial, 0)
	}
	return EffectTimer
}

// writeInitial starts the timer with count v at now (ns), or stops it. In TSC-deadline mode it does nothing.
func (a *APIC) writeInitial(v uint32, now uint64) Effect {
	if a.timerMode() > timerPeriodic {
		return EffectNone
	}
	a.fireCount(now)
	a.set(regInitial, v)
	a.arm(now, a.period())
	return EffectTimer
}

// writeDivide changes the divider at now (ns); the current count goes on from where it is.
func (a *APIC) writeDivide(v uint32, now uint64) Effect {
	if a.timerMode() > timerPeriodic {
		a.set(regDivide, v&0xB)
		return EffectNone
	}
	a.fireCount(now)
	left := uint64(a.current(now))
	a.set(regDivide, v&0xB)
	a.arm(now, left<<a.shift())
	return EffectTimer
}

// writeDeadline is a write of IA32_TSC_DEADLINE. Outside TSC-deadline mode it does nothing.
func (a *APIC) writeDeadline(v uint64) Effect {
	if a.timerMode() != timerDeadline {
		return EffectNone
	}
	a.expiry = v
	return EffectTimer
}
