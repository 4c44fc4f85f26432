package core

import (
	"sync/atomic"

	"keel/arch/amd64"
	"keel/arch/amd64/virt"
	"keel/vmkernel/device/i8254"
	"keel/vmkernel/device/ioapic"
	"keel/vmkernel/device/lapic"
)

// now is the machine's monotonic time, ns.
func (m *machine) now() uint64 { return nanotime() - m.startNS }

// guestTSC is the guest's time-stamp counter, which is also its APIC's bus clock.
func (v *vcpu) guestTSC() uint64 { return amd64.RDTSC() + v.tscOffset }

// prepare fires v's timers, injects what is pending, and says whether v has something to run.
func (v *vcpu) prepare(s *virt.State) bool {
	a := v.lapic()
	if v.nextTSC != never && int64(amd64.RDTSC()-v.nextTSC) >= 0 {
		v.fireTimers()
	}
	if v.event.Valid() {
		v.inject(v.event)
		v.event = 0
		v.halted = false
		return v.started
	}
	if sig := a.Signals(); sig != 0 {
		v.takeSignals(s, a, sig)
	}
	return v.started && !v.halted
}

// takeSignals acts on what the local APIC has pending, most important first.
func (v *vcpu) takeSignals(s *virt.State, a *lapic.APIC, sig lapic.Signal) {
	if sig&lapic.SignalINIT != 0 && a.Take(lapic.SignalINIT) {
		a.INIT()
		v.setTPRThreshold(0)
		v.started, v.halted = v.index == 0, false
		v.initState(s)
		v.updateTimer()
	}
	if sig&lapic.SignalSIPI != 0 {
		if vector := a.StartUp(); vector >= 0 && !v.started {
			v.started, v.halted = true, false
			v.setTSCOffset(v.tscOffset) // startClock may have changed it since obey
			v.save(s)
			setSegment(&s.Seg[virt.CS], uint16(vector)<<8, uint64(vector)<<12, 0xFFFF, 0x9B)
			s.RIP = 0
			v.setState(s)
		}
	}
	if !v.started {
		return
	}
	if isAMD {
		v.takeBack(a)
	}
	if sig&lapic.SignalNMI != 0 {
		if v.nmiPossible() {
			if a.Take(lapic.SignalNMI) {
				v.inject(virt.NMI)
				v.halted = false
			}
		} else {
			v.wantNMIWindow(true)
			v.halted = false
		}
	}
	v.setTPRThreshold(threshold(a)) // an entry fails where it is above the task priority
	extint := a.ExtINT()
	vector := -1
	if !extint {
		vector = a.Pending()
	}
	if !extint && vector < 0 {
		return
	}
	if !v.interruptible() {
		if v.halted && !v.interruptsOn(s) {
			return // HLT with interrupts off waits for an NMI
		}
		v.halted = false
		v.wantInterruptWindow(true)
		return
	}
	v.halted = false
	if extint {
		m := v.vm()
		a.Take(lapic.SignalExtINT)
		m.lock.lock()
		n := m.pic.Ack()
		out := m.pic.Output()
		m.lock.unlock()
		m.driveLINT0(out)
		v.inject(virt.Interrupt(n))
	} else {
		a.Ack(uint8(vector))
		v.inject(virt.Interrupt(uint8(vector)))
	}
	if a.ExtINT() || a.Pending() >= 0 {
		v.wantInterruptWindow(true)
	}
	v.setTPRThreshold(threshold(a))
}

// takeBack has an interrupt that was injected, and that the last entry ended before, compete with those that have
// come since. A more important one would ask for a window, beside which the first would go by EVENTINJ, and QEMU
// may deliver that twice.
func (v *vcpu) takeBack(a *lapic.APIC) {
	if n := v.svm.Undelivered(); n >= 0 && a.Return(uint8(n)) {
		v.svm.Inject(0)
	}
}

// interruptsOn says whether RFLAGS.IF is set, for a halted processor that isn't interruptible.
func (v *vcpu) interruptsOn(s *virt.State) bool {
	v.save(s)
	return s.RFLAGS&(1<<9) != 0
}

// threshold is the task-priority class below which the highest request would be deliverable, 0
// where none waits.
func threshold(a *lapic.APIC) uint8 {
	r := a.Requested()
	if r < 0 || !a.Enabled() {
		return 0
	}
	if tpr := a.TPR() >> 4; uint8(r>>4) <= tpr {
		return uint8(r >> 4)
	}
	return 0
}

// wakeable says whether a waiting processor has something that ends its wait.
func (v *vcpu) wakeable() bool {
	a := v.lapic()
	sig := a.Signals()
	if sig&lapic.SignalINIT != 0 {
		return true
	}
	if !v.started {
		return sig&lapic.SignalSIPI != 0
	}
	if sig&lapic.SignalNMI != 0 {
		return true
	}
	return (a.ExtINT() || a.Pending() >= 0) && v.interruptible()
}

// initState is what INIT does to the processor: as power-on, but for the cache-disable bits, the
// FPU and some MSRs (SDM 3A table 9-1).
func (v *vcpu) initState(s *virt.State) {
	v.save(s)
	cd := s.CR0 & (amd64.CR0_CD | amd64.CR0_NW)
	resetStateINIT(s)
	s.CR0 = s.CR0&^(amd64.CR0_CD|amd64.CR0_NW) | cd
	v.setState(s)
}

// resetStateINIT keeps XCR0, PAT and the SYSCALL MSRs.
func resetStateINIT(s *virt.State) {
	xcr0, pat := s.XCR0, s.PAT
	resetState(s)
	s.XCR0, s.PAT = xcr0, pat
}

// fireTimers lets the local APIC's timer, and for the boot processor the PIT, catch up.
func (v *vcpu) fireTimers() {
	tsc := v.guestTSC()
	v.lapic().Fire(tsc, tsc)
	if v.index == 0 {
		v.vm().firePIT()
	}
	v.updateTimer()
}

// firePIT raises IRQ 0 for the PIT's ticks that have passed.
func (m *machine) firePIT() {
	m.lock.lock()
	n := m.pit.Advance(m.now())
	m.lock.unlock()
	if n != 0 {
		m.setLine(0, true)
		m.setLine(0, false)
	}
}

// updateTimer computes when v's next timer is due, and has the processor interrupted then.
func (v *vcpu) updateTimer() {
	next := uint64(never)
	m := v.vm()
	if t, kind := v.lapic().Deadline(); kind != lapic.TimerNone {
		now := amd64.RDTSC()
		if left := t - (now + v.tscOffset); t <= now+v.tscOffset {
			next = now
			if v.lastExit != 0 {
				next = v.lastExit // it is for attention, before the entry
			}
		} else if left < farAway {
			next = now + left
		}
	}
	v.nextNS = 0
	if v.index == 0 {
		m.lock.lock()
		if t := m.pit.NextEvent(m.now()); t != i8254.Never {
			next = min(next, nsToTSC(t+m.startNS))
		}
		v.nextTSC = next // before who writes to the PIT from now on says that it is over: see pitChanged
		m.lock.unlock()
	} else {
		v.nextTSC = next
	}
	if next == never {
		return
	}
	v.nextNS = tscToNS(next) + 1
	if v.loaded && next > v.lastExit {
		me().armGuest(v.nextNS)
	}
}

// farAway is a time of the guest's timer that never comes, in ticks from now.
const farAway = 1 << 60

// armGuest has this processor interrupted at ns, unless it is sooner already.
func (c *cpu) armGuest(ns uint64) {
	if c.armed == 0 || ns < c.armed {
		c.armed = ns
		armTimer(ns)
	}
}

// pitChanged recomputes the boot processor's timer after a write to the PIT.
func (m *machine) pitChanged() {
	v := at[vcpu](m.vcpus[0])
	if v.loaded && v.lastCPU == me().id+1 {
		v.updateTimer()
		return
	}
	m.lock.lock()
	atomic.StoreUint64(&v.nextTSC, 0) // due at its next entry, which computes it; it doesn't wait before that
	m.lock.unlock()
	v.notify()
}

// apicEffect does what a write to the local APIC wants of its owner.
func (v *vcpu) apicEffect(e lapic.Effect) {
	switch e.Kind() {
	case lapic.EffectIPI:
		v.vm().deliver(v.lapic().ICR(), int(v.index))
	case lapic.EffectEOI:
		m := v.vm()
		m.lock.lock()
		m.service(m.ioapic.EOI(e.Vector()))
		m.lock.unlock()
	case lapic.EffectTimer, lapic.EffectMode:
		v.updateTimer()
	}
}

// deliver sends a message to the local APICs that it matches; from is the sender's index, -1 for
// the IOAPIC. It says whether any accepted it.
func (m *machine) deliver(msg lapic.Message, from int) bool {
	if !msg.Valid() {
		return false
	}
	if msg.Mode() == lapic.LowestPriority {
		return m.deliverLowest(msg, from)
	}
	accepted := false
	for i := 0; i < int(m.nvcpu); i++ {
		v := at[vcpu](m.vcpus[i])
		if v.lapic().Match(msg, i == from) && v.lapic().Deliver(msg) {
			accepted = true
			if i != from || !v.loaded {
				v.notify()
			}
		}
	}
	return accepted
}

// deliverLowest arbitrates among the local APICs that match.
func (m *machine) deliverLowest(msg lapic.Message, from int) bool {
	best := uint32(lapic.NoBid)
	for i := 0; i < int(m.nvcpu); i++ {
		v := at[vcpu](m.vcpus[i])
		if v.lapic().Match(msg, i == from) {
			best = min(best, v.lapic().Bid(uint8(i), m.lowestPriority))
		}
	}
	if best == lapic.NoBid {
		return false
	}
	i := int(best & 0xFF)
	m.lowestPriority = uint8((i + 1) % int(m.nvcpu))
	v := at[vcpu](m.vcpus[i])
	if !v.lapic().Deliver(msg) {
		return false
	}
	v.notify()
	return true
}

// setLine drives an interrupt line of the machine: the IOAPIC's pin, and the 8259's input below
// 16. ISA's IRQ 0 is at the IOAPIC's pin 2.
func (m *machine) setLine(gsi uint8, level bool) {
	m.lock.lock()
	pin := gsi
	if gsi < 16 {
		m.pic.SetLine(gsi, level)
		if gsi == 0 {
			pin = 2
		}
	}
	msg := m.ioapic.SetLine(pin, level)
	if msg.Valid() && !m.deliver(msg, -1) && msg.Level() {
		m.ioapic.Refused(pin)
	}
	out := m.pic.Output()
	m.lock.unlock()
	m.driveLINT0(out)
}

// service sends the messages of the pins, a bit each. The machine's lock is held.
func (m *machine) service(pins uint32) {
	for pin := uint8(0); pins != 0; pin++ {
		if pins&1 != 0 {
			if msg := m.ioapic.Service(pin); msg.Valid() && !m.deliver(msg, -1) {
				m.ioapic.Refused(pin)
			}
		}
		pins >>= 1
	}
}

// driveLINT0 gives the 8259's output to the boot processor's LINT0.
func (m *machine) driveLINT0(level bool) {
	v := at[vcpu](m.vcpus[0])
	had := v.lapic().ExtINT()
	v.lapic().LINT(0, level)
	if level && !had {
		v.notify()
	}
}

// mmio reads or writes a register of the local APIC or the IOAPIC for the upper half, which has
// decoded v's instruction.
func (v *vcpu) mmio(gpa uint64, write bool, x uint32) int64 {
	m := v.vm()
	off := uint32(gpa & (amd64.PageSize - 1))
	switch gpa &^ (amd64.PageSize - 1) {
	case lapic.BaseAddress:
		if !write {
			return int64(v.lapic().ReadMMIO(off, v.guestTSC()))
		}
		v.apicEffect(v.lapic().WriteMMIO(off, x, v.guestTSC()))
	case ioapic.BaseAddress:
		m.lock.lock()
		r := uint32(0)
		if write {
			m.service(m.ioapic.Write(off, x))
		} else {
			r = m.ioapic.Read(off)
		}
		m.lock.unlock()
		return int64(r)
	default:
		return 0xFFFF_FFFF
	}
	return 0
}

// cr4 is the guest's CR4.
func (v *vcpu) cr4() uint64 {
	if isAMD {
		return v.svm.CR4()
	}
	return v.vmx.CR4()
}
