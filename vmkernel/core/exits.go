package core

import (
	"keel/arch/amd64"
	"keel/arch/amd64/virt"
	"keel/arch/amd64/vmx"
	"keel/vmkernel/device/i8254"
	"keel/vmkernel/device/i8259"
	"keel/vmkernel/device/lapic"
	"keel/vmkernel/device/pmtimer"
	"keel/vmkernel/sys"
)

// Exceptions that are injected.
var (
	excUD = virt.Exception(vecUndef)
	excGP = virt.ExceptionCode(vecGP, 0)
)

// fastExit handles an exit that needs no Go runtime: all that a running Linux touches routinely.
// It says whether the guest can go on. Nothing that it calls touches a vector register other than
// XMM14 and XMM15.
func (v *vcpu) fastExit(c *cpu, s *virt.State) bool {
	switch s.Exit.Kind {
	case virt.KindCPUID:
		v.doCPUID(s)
		if isAMD || v.vmx.Unfinished() {
			v.skip(s)
		}
	case virt.KindWRMSR:
		if v.writeMSR(s) {
			v.skip(s)
		} else if s.Exit.Kind == virt.KindMMIO { // see guestPhys
			return false
		} else {
			v.inject(excGP)
		}
	case virt.KindRDMSR:
		if v.readMSR(s) {
			v.skip(s)
		} else {
			v.inject(excGP)
		}
	case virt.KindHLT:
		v.halted = true
		v.skip(s)
	case virt.KindIO:
		if s.Exit.String || !v.fastPort(s) {
			return false
		}
		v.skip(s)
	case virt.KindMMIO:
		if !v.fastMMIO(s) {
			return false
		}
		v.skip(s)
	case virt.KindHostInterrupt:
		v.hostInterrupt(c)
	case virt.KindTimer:
		v.expired(c)
	case virt.KindInterruptWindow:
		v.wantInterruptWindow(false)
	case virt.KindNMIWindow:
		v.wantNMIWindow(false)
	case virt.KindPause:
		v.skip(s)
		c.spun()
	case virt.KindResume, virt.KindException, virt.KindTPR, virt.KindHostNMI:
	case virt.KindNop:
		v.skip(s)
	case virt.KindCR:
		if v.handleCR(s) {
			v.skip(s)
		} else {
			v.inject(excGP)
		}
	case virt.KindCR8:
		v.doCR8(s)
	case virt.KindXSETBV:
		if v.doXSETBV(s) {
			v.skip(s)
		} else {
			v.inject(excGP)
		}
	case virt.KindUndefined:
		v.inject(excUD)
	case virt.KindProtection:
		v.inject(excGP)
	default:
		return false
	}
	return true
}

// Where the processor holds the host's interrupts back from a guest that was entered with RFLAGS.IF clear
// (vmx.HoldsInterrupts: an erratum of Bochs), the processor looks for them by itself: once such a guest has
// had holdNS in guest mode, or its processor's own timer is due, by VT-x's preemption timer, and at the first
// exit that comes peekNS after the last look. So none waits longer than both together, 0.35 ms: to stop the world the Go
// runtime may need an interrupt taken on each of some processors, one after the other. Elsewhere no timer is needed for that.
const (
	holdNS   = 250_000
	peekNS   = 100_000
	holdLate = 2_000 // by which the preemption timer comes later than the processor's own
)

// The same in ticks, 0 where they aren't needed.
var holdTicks, peekTicks uint64

// initHold finds out whether they are, once virtualisation is on.
func (c *cpu) initHold() {
	c.peek = never
	if virtKind == sys.VirtVTX && vmx.HoldsInterrupts() {
		holdTicks, peekTicks = nsToTicks(holdNS), nsToTicks(peekNS)
		c.peek = 0
	}
}

// hold sets the preemption timer of VT-x for a run that isn't brief.
func (v *vcpu) hold(c *cpu) {
	v.timed = false
	ticks := holdTicks
	if ticks != 0 && c.armed != 0 {
		now := nanotime()
		ticks = min(ticks, nsToTicks(max(c.armed, now)-now+holdLate))
	}
	v.vmx.SetTimer(ticks, ticks != 0)
}

// lookOut lets the host's interrupts in, if that is due.
func (v *vcpu) lookOut(c *cpu) {
	if v.lastExit >= c.peek {
		openWindow()
		c.drainPending()
		c.peek = v.lastExit + peekTicks
	}
}

// peeked lets the host's interrupts in where that is all that is due, and says whether any came: the policy needn't be
// asked otherwise.
//
//go:noinline
func (v *vcpu) peeked(c *cpu) bool {
	openWindow()
	if c.pending != [4]uint64{} {
		return true
	}
	c.peek = v.lastExit + peekTicks
	v.hold(c)
	return false
}

// expired is the end of the preemption timer's time.
func (v *vcpu) expired(c *cpu) {
	openWindow()
	if c.pending == [4]uint64{} && c.peek != never && v.lastExit < v.nextTSC {
		// Nothing came. It goes on, and if that is with RFLAGS.IF set, without the timer: up to its next exit, however
		// early that comes, an interrupt leaves it.
		if v.vmx.Interruptible() {
			c.peek, v.timed = v.lastExit+1, false
			v.vmx.SetTimer(0, false)
			return
		}
		c.peek = v.lastExit + peekTicks
		v.hold(c)
		return
	}
	v.hostInterrupt(c)
	v.hold(c)
}

// hostInterrupt lets the host's interrupts in.
func (v *vcpu) hostInterrupt(c *cpu) {
	openWindow()
	c.drainPending()
	if c.peek != never {
		c.peek = v.lastExit + peekTicks
	}
	if v.lastExit >= v.nextTSC {
		v.fireTimers() // first, so that tick doesn't set the timer for what is over
	}
	c.tick()
}

// openWindow lets pending interrupts of the host in: their vectors are noted in cpu.pending.
func openWindow()

// tick looks after the processor's timers while it stays in a guest.
func (c *cpu) tick() {
	now := nanotime()
	sched.lock()
	c.expireTimers(now)
	if now >= sched.Until(c.id) {
		c.resched = true // look sets the timer
	} else {
		c.arm(now)
	}
	sched.unlock()
}

// spun is for a guest that executes PAUSE in a loop: it waits for a lock, and what is left of its turn
// is better used by a sibling, which may hold it, or by others. The guest's PAUSE is executed for it: emulators that run
// processors by turns go on to the next one there, which may run the sibling.
func (c *cpu) spun() {
	amd64.PAUSE()
	sched.lock()
	if sched.Contended(c.id) {
		sched.Yield(c.id)
		c.resched = true
	}
	sched.unlock()
}

// specialCPUID's leaves, modulo 32, as a set of bits.
const specialLeaves = 1<<1 | 1<<0xB | 1<<0xD | 1<<0x1E | 1<<0x1F

// doCPUID answers from the model's table.
func (v *vcpu) doCPUID(s *virt.State) {
	m := v.vm()
	leaf := uint32(s.GPR[virt.RAX])
	if i := m.first[leaf>>30][leaf&31]; leaf&^0xC000_001F == 0 && i < sys.MaxCPUIDEntries && specialLeaves>>(leaf&31)&1 == 0 {
		if e := &m.cpuid[i]; e.Indexed == 0 {
			s.GPR[virt.RAX], s.GPR[virt.RBX] = uint64(e.EAX), uint64(e.EBX)
			s.GPR[virt.RCX], s.GPR[virt.RDX] = uint64(e.ECX), uint64(e.EDX)
			return
		}
	}
	v.searchCPUID(s)
}

// searchCPUID is doCPUID for leaves with subleaves, special ones, and those that aren't there.
//
//go:noinline
func (v *vcpu) searchCPUID(s *virt.State) {
	m := v.vm()
	leaf, sub := uint32(s.GPR[virt.RAX]), uint32(s.GPR[virt.RCX])
	var a, b, cx, d uint32
	if leaf&^0xC000_001F == 0 {
		// The entries of a leaf follow each other.
		for i := m.first[leaf>>30][leaf&31]; i < sys.MaxCPUIDEntries; i++ {
			e := &m.cpuid[i]
			if e.Leaf != leaf {
				break
			}
			if e.Indexed == 0 || e.Subleaf == sub {
				a, b, cx, d = e.EAX, e.EBX, e.ECX, e.EDX
				break
			}
		}
	}
	if specialLeaves>>(leaf&31)&1 != 0 {
		b, cx, d, a = v.specialCPUID(leaf, sub, a, b, cx, d)
	}
	s.GPR[virt.RAX], s.GPR[virt.RBX] = uint64(a), uint64(b)
	s.GPR[virt.RCX], s.GPR[virt.RDX] = uint64(cx), uint64(d)
}

// specialCPUID fills in what isn't in the table: it differs from one virtual processor to the next,
// or changes.
func (v *vcpu) specialCPUID(leaf, sub, a, b, cx, d uint32) (ebx, ecx, edx, eax uint32) {
	switch leaf {
	case 1:
		b = b&0x00FF_FFFF | v.index<<24
		if v.cr4()&amd64.CR4_OSXSAVE != 0 {
			cx |= 1 << 27
		}
	case 0xB, 0x1F:
		d = v.index
	case 0xD:
		if sub == 0 && a != 0 {
			b = 512 + 64
			if amd64.XGETBV()&4 != 0 { // the guest's, on an exit
				b += 256
			}
		}
	case 0x8000_001E:
		a = v.index
		b = b&^0xFF | v.index&0xFF
	}
	return b, cx, d, a
}

// lowerPort says whether port p may be one of the lower half's.
func lowerPort(p uint16) bool {
	return p <= 0xFF || p&^3 == pmTimer || p&^1 == i8259.PortMasterELCR
}

// fastPort serves the ports of the lower half's devices.
func (v *vcpu) fastPort(s *virt.State) bool {
	e := &s.Exit
	if !lowerPort(e.Port) {
		return false
	}
	if e.Port == 0x80 && !e.In { // POST codes, and Linux's delay
		return true
	}
	r, ok := v.vm().port(e.Port, e.Size, e.In, uint32(s.GPR[virt.RAX]))
	if ok && e.In {
		setPort(s, r)
	}
	return ok
}

// port reads, or writes x to, port p of the lower half's devices, size bytes; false if none of them
// has it. But for the PM timer they have ports of a byte each: what is wider is for the upper half to
// take apart.
func (m *machine) port(p uint16, size uint8, in bool, x uint32) (r uint32, ok bool) {
	if p&^3 == pmTimer {
		if in {
			r = pmtimer.Read(uint32(p-pmTimer), uint32(size), m.now())
		}
		return r, true
	}
	if size != 1 {
		return 0, false
	}
	switch p {
	case i8254.PortCounter0, i8254.PortCounter1, i8254.PortCounter2, i8254.PortControl, i8254.PortB:
		m.lock.lock()
		now := m.now()
		if in {
			r = uint32(m.pit.In(p, now))
		} else {
			m.pit.Out(p, uint8(x), now)
		}
		m.lock.unlock()
		m.pitChanged()
	case i8259.PortMasterCommand, i8259.PortMasterData, i8259.PortSlaveCommand, i8259.PortSlaveData,
		i8259.PortMasterELCR, i8259.PortSlaveELCR:
		m.lock.lock()
		if in {
			r = uint32(m.pic.In(p))
		} else {
			m.pic.Out(p, uint8(x))
		}
		out := m.pic.Output()
		m.lock.unlock()
		m.driveLINT0(out)
	default:
		return 0, false
	}
	return r, true
}

// pmTimer is the first port of a guest's ACPI PM timer.
const pmTimer = 0x608

// setPort puts the result of an IN into AL, AX or EAX.
func setPort(s *virt.State, x uint32) {
	switch s.Exit.Size {
	case 1:
		s.GPR[virt.RAX] = s.GPR[virt.RAX]&^0xFF | uint64(x&0xFF)
	case 2:
		s.GPR[virt.RAX] = s.GPR[virt.RAX]&^0xFFFF | uint64(x&0xFFFF)
	default:
		s.GPR[virt.RAX] = uint64(x)
	}
}

// doXSETBV takes a value of XCR0: x87, SSE and AVX of the model, AVX only with SSE (SDM 1 13.3).
func (v *vcpu) doXSETBV(s *virt.State) bool {
	x := s.GPR[virt.RDX]<<32 | s.GPR[virt.RAX]&0xFFFF_FFFF
	if uint32(s.GPR[virt.RCX]) != 0 || x&1 == 0 || x&^v.vm().xcr0() != 0 || x&6 == 4 {
		return false
	}
	s.XCR0 = x
	amd64.XSETBV(x)
	return true
}

// xcr0 is what the model offers: leaf 0DH.
func (m *machine) xcr0() uint64 {
	if i := m.first[0][0xD]; i < sys.MaxCPUIDEntries {
		return uint64(m.cpuid[i].EAX) & xcr0Host
	}
	return 1
}

// doCR8 is MOV to or from CR8 where the processor has no TPR shadow.
func (v *vcpu) doCR8(s *virt.State) {
	r := &s.GPR[s.Exit.Vector&15]
	if !s.Exit.Write {
		*r = uint64(v.lapic().TPR() >> 4)
	} else if *r > 15 {
		v.inject(excGP)
		return
	} else {
		v.lapic().SetTPR(uint8(*r) << 4)
	}
	v.skip(s)
}

// MSRs that are neither processor state nor the APIC's (SDM 4 ch. 2, APM 2 app. A).
const (
	msrTSC          = 0x10
	msrPlatformID   = 0x17
	msrTSCAdjust    = 0x3B
	msrUcodeRev     = 0x8B
	msrPlatformInfo = 0xCE
	msrMCGCap       = 0x179
	msrMCGStatus    = 0x17A
	msrMiscEnable   = 0x1A0
	msrSYSCFG       = 0xC001_0010
	msrHWCR         = 0xC001_0015
	msrNBCfg        = 0xC001_001F
	msrDECFG        = 0xC001_1029
	msrKVMWallClock = 0x4B56_4D00
	msrKVMClock     = 0x4B56_4D01
	msrOldWallClock = 0x11
	msrOldClock     = 0x12
)

// readMSR is RDMSR; false is #GP.
func (v *vcpu) readMSR(s *virt.State) bool {
	idx := uint32(s.GPR[virt.RCX])
	var x uint64
	ok := true
	switch {
	case idx == lapic.MSRAPICBase, idx == lapic.MSRTSCDeadline, idx >= lapic.MSRx2APIC && idx < lapic.MSRx2APIC+0x40:
		x, ok = v.lapic().ReadMSR(idx, v.guestTSC())
	default:
		if x, ok = v.getMSR(s, idx); ok {
			break
		}
		ok = true
		switch idx {
		case msrPlatformID, msrUcodeRev, msrPlatformInfo, msrMCGCap, msrMCGStatus:
		case msrTSCAdjust:
			x = v.tscAdjust
		case msrMiscEnable:
			x = 1 // fast strings
		case msrSYSCFG, msrHWCR, msrNBCfg, msrDECFG:
			ok = isAMD
			if idx == msrDECFG {
				x = 2 // LFENCE serialises
			}
			if idx == msrHWCR {
				x = 1 << 24 // TSC runs at P0's frequency
			}
		case msrKVMClock, msrOldClock:
			x, ok = v.clockMSR, v.vm().kvmclock
		case msrKVMWallClock, msrOldWallClock:
			x, ok = v.wallMSR, v.vm().kvmclock
		default:
			ok = false
		}
	}
	if ok {
		s.GPR[virt.RAX], s.GPR[virt.RDX] = x&0xFFFF_FFFF, x>>32
	}
	return ok
}

// writeMSR is WRMSR; false is #GP.
func (v *vcpu) writeMSR(s *virt.State) bool {
	idx := uint32(s.GPR[virt.RCX])
	x := s.GPR[virt.RDX]<<32 | s.GPR[virt.RAX]&0xFFFF_FFFF
	if idx == lapic.MSRTSCDeadline || idx == lapic.MSRAPICBase || idx >= lapic.MSRx2APIC && idx < lapic.MSRx2APIC+0x40 {
		e, ok := v.lapic().WriteMSR(idx, x, v.guestTSC())
		if ok {
			v.apicEffect(e)
		}
		return ok
	}
	switch idx {
	case msrTSC: // moves IA32_TSC_ADJUST by as much (SDM 3B 18.17.3)
		v.moveTSC(x - v.guestTSC())
		return true
	case msrTSCAdjust:
		v.moveTSC(x - v.tscAdjust)
		return true
	}
	if v.setMSR(s, idx, x) {
		return true
	}
	switch idx {
	case msrUcodeRev, msrMCGStatus, msrMiscEnable:
		return true
	case msrHWCR, msrNBCfg, msrDECFG:
		return isAMD
	case msrKVMClock, msrOldClock:
		return v.vm().kvmclock && v.setClock(x)
	case msrKVMWallClock, msrOldWallClock:
		return v.vm().kvmclock && v.setWallClock(x)
	}
	return false
}

// moveTSC moves the guest's time-stamp counter, and with it the deadline of its timer.
func (v *vcpu) moveTSC(by uint64) {
	v.tscAdjust += by
	v.tscOffset += by
	v.setTSCOffset(v.tscOffset)
	v.updateTimer()
}
