package core

import (
	"sync/atomic"

	"keel/arch/amd64"
	"keel/arch/amd64/svm"
	"keel/arch/amd64/virt"
	"keel/arch/amd64/vmx"
	"keel/vmkernel/device/lapic"
	"keel/vmkernel/linux"
	"keel/vmkernel/sys"
)

// A vcpu is a virtual processor. It lies in a page frame of its own; its local APIC, its XSAVE
// area and the page that it shares with the upper half lie in others.
type vcpu struct {
	machine   uintptr
	index     uint32
	world     uint32
	page      uintptr // *sys.VCPUPage in the direct map...
	upperPage uintptr // ...and in the upper half's address space
	apic      uintptr // *lapic.APIC
	xsave     uintptr
	frames    [12]uint64 // page frames of its own, to give back
	nframes   int

	taken    uint32 // atomic: 1 while a thread is in vmrun or vmbrief for it
	loaded   bool   // the processor has its vector registers and MSRs
	deferred uint64 // ns: when a brief run was last put off for threads that waited
	timed    bool   // the preemption timer is set for a brief run, and hasn't expired
	lastCPU  uint32 // 1 + the processor whose VMCS cache may hold it, 0 none
	started  bool   // it isn't waiting for SIPI
	halted   bool   // it executed HLT
	exitReq  uint32 // atomic: leave for the upper half
	flags    uint64 // sys.Run flags to obey before the next entry
	event    virt.Event
	nextTSC  uint64 // host TSC of its next timer, never for none
	nextNS   uint64 // the same time in ns, 0 for none
	lastExit uint64 // host TSC of the last exit, 0 after waiting

	tprThreshold uint8
	tscOffset    uint64 // what is added to the host's TSC to make the guest's
	tscAdjust    uint64 // IA32_TSC_ADJUST
	clockMSR     uint64 // kvmclock's system time MSR
	wallMSR      uint64
	clockVersion uint32

	vmx vmx.VCPU
	svm svm.VCPU
}

const never = ^uint64(0)

func (v *vcpu) vm() *machine          { return at[machine](v.machine) }
func (v *vcpu) shared() *sys.VCPUPage { return at[sys.VCPUPage](v.page) }
func (v *vcpu) lapic() *lapic.APIC    { return at[lapic.APIC](v.apic) }

// frames of a virtual processor, in pages.
const (
	pagesAPIC = 2
	pagesMSR  = 2
	pagesIO   = 3
)

// take allocates n consecutive frames for v.
func (v *vcpu) take(n int) uint64 {
	pa := allocPages(n, overheadOf(v.vm().id))
	if pa == 0 || v.nframes+n > len(v.frames) {
		return 0
	}
	for i := 0; i < n; i++ {
		v.frames[v.nframes] = pa + uint64(i)*amd64.PageSize
		v.nframes++
	}
	return pa
}

// newVCPU makes virtual processor i; false means too little memory.
func (m *machine) newVCPU(i uint32) bool {
	pa := allocFrame(overheadOf(m.id))
	if pa == 0 {
		return false
	}
	v := phys[vcpu](pa)
	m.vcpus[i] = addrOf(v)
	v.machine, v.index = addrOf(m), i
	var cfg virt.Config
	shared := v.take(1)
	xsave := v.take(1)
	apic := v.take(pagesAPIC)
	cfg.Control = v.take(1)
	cfg.MSRBitmap = v.take(pagesMSR)
	cfg.IOBitmap = v.take(pagesIO)
	if shared == 0 || xsave == 0 || apic == 0 || cfg.Control == 0 || cfg.MSRBitmap == 0 || cfg.IOBitmap == 0 {
		return false
	}
	v.page = amd64.DirectMap + uintptr(shared)
	v.xsave = amd64.DirectMap + uintptr(xsave)
	v.apic = amd64.DirectMap + uintptr(apic)
	if v.upperPage = mapFixedRegion(shared, amd64.PageSize, amd64.PTE_W); v.upperPage == 0 {
		return false
	}
	cfg.NestedRoot = m.root
	cfg.APICPage = apic
	cfg.ASID = m.id*sys.MaxVCPUs + i + 1
	if e := v.init(&cfg); e != "" {
		console.lock.lock()
		print("level=ERROR msg=\"virtual processor refused\" cause=\"")
		print(e)
		print("\"\n")
		console.lock.unlock()
		return false
	}
	sched.lock()
	w := newWorld(kindVCPU, m.group)
	if w != nil {
		w.wait = waitVCPU
		w.vcpu = addrOf(v)
		v.world = w.id
		if numNodes > 1 {
			sched.SetHome(w.node, homeSets+uint32(memoryOf(m.id).home()))
		}
	}
	sched.unlock()
	return w != nil
}

// retire ends what others know of v: it is no world any more, and the upper half doesn't see its page once all processors
// have flushed.
func (v *vcpu) retire() {
	v.release()
	if v.world != 0 {
		sched.lock()
		w, now := worldAt(v.world), nanotime()
		if c := &cpus[sched.CPU(w.node)]; c.lent == w.id {
			c.settle(now) // a thread runs in its name still
			c.reconsider()
		}
		w.end(now)
		sched.unlock()
	}
	if v.upperPage != 0 {
		space.lock.lock()
		if e := pte(v.upperPage, 1, false); e != nil {
			*e = 0
		}
		space.lock.unlock()
	}
}

// free gives back what a retired v has. Its address goes to the next of its kind: were it never used again, every virtual
// processor that ever was would cost a part of a page table.
func (v *vcpu) free() {
	if v.upperPage != 0 {
		space.lock.lock()
		carve(v.upperPage, v.upperPage+amd64.PageSize)
		space.next = min(space.next, v.upperPage)
		space.lock.unlock()
	}
	o := overheadOf(v.vm().id)
	for i := 0; i < v.nframes; i++ {
		freeFrame(v.frames[i], o)
	}
	freeFrame(uint64(addrOf(v))-amd64.DirectMap, o)
}

// reset is power-on: the boot processor's state is to be set, the others wait for SIPI.
func (v *vcpu) reset() {
	m := v.vm()
	v.release() // no processor has anything of it that could be saved later
	v.lapic().Reset(v.index, v.index == 0)
	v.started = v.index == 0
	v.halted = false
	v.event = 0
	v.flags = 0
	v.nextTSC, v.nextNS = never, 0
	v.clockMSR, v.wallMSR = 0, 0
	v.tscOffset, v.tscAdjust = -m.tscStart, 0
	v.exitReq = 0
	v.lastExit = 0
	v.timed = false
	s := &v.shared().State
	*s = virt.State{}
	resetState(s)
	v.flags = sys.RunSetState
	*at[page](v.xsave) = page{}
	*at[uint16](v.xsave) = 0x37F       // FCW
	*at[uint32](v.xsave + 24) = 0x1F80 // MXCSR
	if v.index == 0 {
		v.lapic().LINT(0, false)
	}
}

// resetState is the state after power-on or INIT (SDM 3A table 9-1).
func resetState(s *virt.State) {
	s.RIP = 0xFFF0
	s.RFLAGS = 2
	s.CR0 = amd64.CR0_CD | amd64.CR0_NW | amd64.CR0_ET
	s.CR2, s.CR3, s.CR4, s.EFER = 0, 0, 0, 0
	s.XCR0 = 1
	s.DR6, s.DR7 = 0xFFFF0FF0, 0x400
	for i := range s.DR {
		s.DR[i] = 0
	}
	for i := range s.Seg {
		setSegment(&s.Seg[i], 0, 0, 0xFFFF, 0x93)
	}
	setSegment(&s.Seg[virt.CS], 0xF000, 0xFFFF0000, 0xFFFF, 0x9B)
	setSegment(&s.Seg[virt.LDTR], 0, 0, 0xFFFF, 0x82)
	setSegment(&s.Seg[virt.TR], 0, 0, 0xFFFF, 0x8B)
	s.GDTR.Base, s.GDTR.Limit = 0, 0xFFFF
	s.IDTR.Base, s.IDTR.Limit = 0, 0xFFFF
	s.PAT = 0x0007_0406_0007_0406
	s.Interruptibility, s.Activity = 0, 0
	for i := range s.GPR {
		s.GPR[i] = 0
	}
	s.GPR[virt.RDX] = 0x600
}

func setSegment(g *virt.Segment, sel uint16, base uint64, limit, attr uint32) {
	g.Selector, g.Base, g.Limit, g.Attr = sel, base, limit, attr
}

// vmrun is sys.VCPURun: the thread w waits, and the virtual processor runs in its stead on this
// processor, if nobody goes before it.
//
//go:nosplit
func (c *cpu) vmrun(w *world, id, flags, event uint64) {
	v := vcpuOf(id>>8, id&0xFF)
	if v == nil {
		w.setResult(-int64(linux.EINVAL))
		return
	}
	if !atomic.CompareAndSwapUint32(&v.taken, 0, 1) {
		w.setResult(-int64(linux.EBUSY))
		return
	}
	if v.index == 0 && !v.vm().running {
		v.vm().startClock()
	}
	v.ask(flags, event)
	w.setResult(0)
	sched.lock()
	g := worldAt(v.world)
	g.caller = w.id
	if c.lent == g.id {
		// The policy takes g for running already.
		atomic.StoreUint32(&c.lent, 0)
		w.state, w.wait = stateBlocked, waitVCPU
		g.state, g.wait, g.cpu = stateRunning, waitNone, c.id
		c.current = g.id
	} else {
		c.begin(w, g, v)
	}
	sched.unlock()
	if c.current != g.id || c.mustAsk() {
		c.resched = true
		return // dispatch decides who is next
	}
	c.world = 0
	if v.nextNS != 0 {
		c.armGuest(v.nextNS)
	}
	c.runVCPU(g)
	if c.current == w.id {
		// It came straight back: no dispatch, unless there is something else to do.
		c.world = addrOf(w)
		if w.signalled() {
			c.resched = true
		}
	}
}

// begin has the virtual processor g run in the stead of thread w, or wait for its turn. The lock is held.
//
//go:noinline
func (c *cpu) begin(w, g *world, v *vcpu) {
	if atomic.LoadUint32(&v.exitReq) != 0 {
		// It was asked to leave before it came: it needn't be its turn for that.
		atomic.StoreUint32(&v.exitReq, 0)
		v.shared().State.Exit.Kind = virt.KindNop
		atomic.StoreUint32(&v.taken, 0)
		return
	}
	now := nanotime()
	c.settle(now)
	// The goroutine that runs g may have come to another thread since g's last exit. The one that was handed the
	// processor then still runs in g's name, and must not any more.
	if o := &cpus[sched.CPU(g.node)]; atomic.LoadUint32(&o.lent) == g.id { // by the policy: a brief run changes g.cpu
		o.settle(now)
		o.reconsider()
	}
	w.state, w.wait = stateBlocked, waitVCPU
	g.wait = waitNone
	if !sched.Contended(c.id) && sched.Switch(c.id, g.node, now) {
		w.repay(now)
		g.state, g.cpu = stateRunning, c.id
		c.current = g.id
		c.arm(now)
		return
	}
	// Others want the processor, or it may not have it now: it takes its place among them. A
	// switch that is refused has done so already.
	if sched.Current(c.id) == w.node {
		sched.Block(c.id, now)
	}
	w.repay(now)
	g.state = stateRunnable
	sched.Wake(g.node, now)
	c.current = 0
}

// ask notes what the upper half wants done before the next entry.
func (v *vcpu) ask(flags, event uint64) {
	if flags|event == 0 {
		return
	}
	v.flags |= flags
	if e := virt.Event(event); e.Valid() {
		v.event = e
	}
}

// handBack ends vmrun: the processor goes directly to the thread that waits for it, and which runs in
// the virtual processor's name from here on, see settle.
//
//go:nosplit
func (c *cpu) handBack(w *world, v *vcpu) {
	v.unload()
	v.shared().Last = v.lastExit
	if v.lastExit == 0 {
		v.shared().Last = amd64.RDTSC()
	}
	sched.lock()
	t := worldAt(w.caller)
	w.state, w.wait = stateBlocked, waitVCPU
	t.state, t.wait, t.cpu = stateRunning, waitNone, c.id
	c.current = t.id
	atomic.StoreUint32(&c.lent, w.id)
	sched.unlock()
	c.endVisit()
	atomic.StoreUint32(&v.taken, 0)
}

// load gives the processor v's registers. Where another processor had v last, its cached control
// structure is written back first.
func (v *vcpu) load(c *cpu) {
	moved := v.lastCPU != c.id+1
	if moved {
		v.release()
		v.lastCPU = c.id + 1
	}
	s := &v.shared().State
	if isAMD {
		v.svm.Load()
		v.svm.SwitchIn(s)
		vectorsIn(v.xsave, s.XCR0)
	} else {
		if c.vmcs != addrOf(v) {
			c.saveRest()
			v.vmx.Load()
			c.vmcs = addrOf(v)
		}
		if v.flags&sys.RunSetState != 0 {
			v.vmx.Changed()
		}
		v.vmx.SwitchIn(s, v.xsave)
		if moved || holdTicks != 0 || v.timed {
			v.hold(c)
		}
		c.rest = addrOf(v)
	}
	v.loaded = true
	if v.flags != 0 {
		v.obey(s)
	}
}

// saveRest brings the State up to date of the vcpu whose registers linger in the processor.
func (c *cpu) saveRest() {
	if c.rest != 0 {
		v := at[vcpu](c.rest)
		v.vmx.SaveRest(&v.shared().State)
		c.rest = 0
	}
}

// obey does what the upper half wants done first. No event waits to be injected again where it wants
// all of the state taken: an exit from an event's delivery (KindDelivery) has ended the VM.
func (v *vcpu) obey(s *virt.State) {
	if v.flags&sys.RunSetState != 0 {
		v.setTSCOffset(v.tscOffset)
		v.setState(s)
		v.setTPRThreshold(0)
	} else if v.flags&sys.RunSetRIP != 0 {
		v.setRIP(s.RIP)
	}
	v.flags = 0
}

// vectorsIn loads the XSAVE area of a guest, and then XCR0.
func vectorsIn(area uintptr, xcr0 uint64)

// vectorsOut makes XCR0, which was xcr0, the host's, saves the vector registers in area, and loads
// those of clean: nothing of the guest is left there.
func vectorsOut(area, clean uintptr, xcr0 uint64)

// unload takes v's registers from the processor, and leaves nothing of them there.
func (v *vcpu) unload() {
	v.loaded = false
	s := &v.shared().State
	if isAMD {
		s.XCR0 = amd64.XGETBV() // emulators don't intercept XSETBV
		vectorsOut(v.xsave, cleanPage, s.XCR0)
		v.svm.SwitchOut(s)
	} else {
		v.vmx.SwitchOut(s, v.xsave, cleanPage)
	}
}

// cleanPage is a page of zeros in the direct map: as an XSAVE area, the initial state of all
// components but for MXCSR.
var cleanPage uintptr

// release has the processor that ran v last write its control structure back. No lock is held.
func (v *vcpu) release() {
	if v.lastCPU == 0 {
		return
	}
	c, o := me(), &cpus[v.lastCPU-1]
	v.lastCPU = 0
	if o == c {
		v.clearVendor()
		return
	}
	for !atomic.CompareAndSwapUintptr(&o.clearVCPU, 0, addrOf(v)) {
		c.pollFlush()
		amd64.PAUSE()
	}
	sendIPI(o.apicID, vecFlush)
	for atomic.LoadUintptr(&o.clearVCPU) == addrOf(v) {
		c.pollFlush()
		amd64.PAUSE()
	}
}

// requestExit makes v return to the upper half: from guest mode, or from whatever keeps it from running
// (its turn, a limit, a pause, HLT), at once.
func (v *vcpu) requestExit() {
	sched.lock()
	atomic.StoreUint32(&v.exitReq, 1)
	w := worldAt(v.world)
	switch {
	case w.state == stateRunning:
		if o := &cpus[w.cpu]; o != me() {
			o.kick()
		}
	case w.state == stateRunnable, w.state == stateBlocked && w.wait == waitInterrupt:
		v.giveBack(w)
	}
	sched.unlock()
}

// lostTurn is called when a virtual processor has lost its processor. One that was asked to leave while it had that needn't
// wait for another turn, which may never come: it may have been paused meanwhile. The lock is held.
func (v *vcpu) lostTurn(w *world) {
	if atomic.LoadUint32(&v.exitReq) != 0 {
		v.giveBack(w)
	}
}

// giveBack ends the vmrun of a virtual processor that isn't running, without running it. Where it has
// only just lost its processor, that one may still be saving its registers: whoever runs it next waits
// for that in load, and who destroys it in release. The lock is held.
func (v *vcpu) giveBack(w *world) {
	cancelTimer(w)
	sched.Withdraw(w.node, nanotime())
	w.state, w.wait = stateBlocked, waitVCPU
	atomic.StoreUint32(&v.exitReq, 0)
	v.shared().State.Exit.Kind = virt.KindNop
	atomic.StoreUint32(&v.taken, 0)
	wake(worldAt(w.caller))
}

// notify makes v look at what is pending: it is woken from HLT, or made to leave guest mode.
func (v *vcpu) notify() {
	sched.lock()
	w := worldAt(v.world)
	switch w.state {
	case stateBlocked:
		if w.wait == waitInterrupt {
			wake(w)
		}
	case stateRunning:
		if o := &cpus[w.cpu]; o != me() {
			o.kick()
		}
	}
	sched.unlock()
}

// runVCPU runs a virtual processor until another world is to run: because it blocks, its turn is
// over, or the upper half has something to do for it.
func (c *cpu) runVCPU(w *world) {
	v := at[vcpu](w.vcpu)
	page := v.shared()
	s := &page.State
	v.load(c)
	c.switched()
	for {
		if atomic.LoadUint32(&c.kicked) != 0 || c.resched || v.lastExit >= c.peek && v.peeked(c) {
			if c.mustLeave(w, v) {
				v.unload()
				v.lastExit = 0 // it waits from here on
				return
			}
		}
		if atomic.LoadUint32(&v.exitReq) != 0 {
			atomic.StoreUint32(&v.exitReq, 0)
			s.Exit.Kind = virt.KindNop
			c.handBack(w, v)
			return
		}
		if v.attention() && !v.prepare(s) {
			if v.wait(c, w) {
				v.unload()
				return
			}
			continue
		}
		v.enter(s, page)
		// Short cuts for what is most frequent, where the exit has moved the guest on already. CPUID
		// gives the guest nothing to attend to, and who else does interrupts this processor.
		if !isAMD && !v.vmx.Unfinished() {
			if s.Exit.Kind == virt.KindCPUID {
				v.answerCPUID(s, page, c.peek)
			}
			if s.Exit.Kind == virt.KindIO && !v.vmx.Unfinished() && !lowerPort(s.Exit.Port) {
				c.handBack(w, v)
				return
			}
		}
		if !v.fastExit(c, s) {
			v.slowExit(s)
			c.handBack(w, v)
			return
		}
	}
}

// attention says whether prepare has anything to do. What comes due between the last exit and the
// entry comes as an interrupt of the host.
//
//go:nosplit
func (v *vcpu) attention() bool {
	return v.lapic().Signals() != 0 || v.lastExit >= v.nextTSC || v.lastExit == 0 || v.event != 0 || v.halted || !v.started
}

// mustLeave looks at why the processor was kicked. The virtual processor w stays unless the policy says
// otherwise: then what c.current names runs next.
//
//go:noinline
func (c *cpu) mustLeave(w *world, v *vcpu) bool {
	v.lookOut(c)
	sched.lock()
	c.look()
	sched.unlock()
	if c.current != w.id {
		return true
	}
	if holdTicks != 0 {
		v.hold(c)
	}
	return false
}

// wait blocks a virtual processor that has nothing to run. It returns false if something came up.
func (v *vcpu) wait(c *cpu, w *world) bool {
	sched.lock()
	if v.lapic().Signals() != 0 || atomic.LoadUint32(&v.exitReq) != 0 {
		if v.wakeable() || atomic.LoadUint32(&v.exitReq) != 0 {
			sched.unlock()
			return false
		}
	}
	if atomic.LoadUint64(&v.nextTSC) == 0 {
		sched.unlock()
		return false // another virtual processor has set the PIT since it was looked at
	}
	var deadline uint64
	if v.nextTSC != never {
		deadline = v.nextNS
	}
	v.lastExit = 0
	w.block(waitInterrupt, deadline)
	sched.unlock()
	return true
}

// slowExit prepares what the upper half needs to know of an exit.
func (v *vcpu) slowExit(s *virt.State) {
	switch s.Exit.Kind {
	case virt.KindIO:
		if s.Exit.String {
			v.saveAll(s)
			return
		}
		if isAMD || v.vmx.Unfinished() {
			v.skip(s)
		}
	case virt.KindFailedEntry:
		field, rule := v.check()
		if field == "" {
			field, rule = "unknown", "no field breaks a rule that the checker has"
		}
		m := v.shared().Message[:]
		putString(m, field)
		n := 0
		for n < len(m)-3 && m[n] != 0 {
			n++
		}
		m[n], m[n+1] = ':', ' '
		putString(m[n+2:], rule)
		v.saveAll(s)
	default:
		v.saveAll(s)
	}
}

// saveAll brings all of s up to date for the upper half, which may then change any of it.
func (v *vcpu) saveAll(s *virt.State) {
	v.save(s)
	me().rest = 0
}
