package core

import (
	"sync/atomic"

	"keel/arch/amd64/virt"
	"keel/arch/amd64/vmx"
	"keel/vmkernel/linux"
	"keel/vmkernel/sys"
)

// A brief run is the short way from the upper half to a guest and back, for guests that exit to device
// models all the time: sys.NumVMBrief. The thread stays the processor's current world, with the P of
// its goroutine, and the scheduler hears nothing of it. So a brief run must not last: it ends after
// briefNS or briefExits exits, when the guest waits, and when another world or a signal wants the
// processor. Only VT-x with a preemption timer has it: nothing else tells cheaply that a guest has
// run for long.
const (
	briefNS    = 100_000
	briefExits = 64
	deferNS    = 500_000 // at least between two times that a brief run is put off for threads, see mayBrief
)

// numVMBrief is for the assembly.
const numVMBrief = sys.NumVMBrief

// briefTicks is briefNS in ticks of the time-stamp counter, 0 where there are no brief runs.
var briefTicks uint64

// initBrief finds out whether there are brief runs, once virtualisation is on.
func initBrief() {
	if virtKind == sys.VirtVTX && vmx.HasTimer() {
		briefTicks = nsToTicks(briefNS)
	}
}

// briefOn is what beforeBrief and afterBrief return where the run goes on.
const briefOn = -1 << 63

// vmbrief runs a virtual processor briefly. The assembly calls it on c's own stack with the thread's
// stack pointer, frame pointer and RIP saved: nothing else of it lives on. It returns what the call
// returns, and 1 where the thread goes straight on; with 0 the world that c.world names is to be
// resumed. What it does each time is written out here, since every call would cost a tenth of it.
func vmbrief(c *cpu, id, flags, event uint64) (r int64, straight uint64) {
	c.counter.syscalls++
	v := vcpuOf(id>>8, id&0xFF)
	if v == nil {
		return -int64(linux.EINVAL), 1
	}
	if !atomic.CompareAndSwapUint32(&v.taken, 0, 1) {
		return -int64(linux.EBUSY), 1
	}
	v.ask(flags, event)
	if c.lent != v.world || c.resched || v.lastExit == 0 || briefTicks == 0 {
		if r = c.mayBrief(v); r != briefOn {
			return c.endBrief(v, r), 0
		}
	}
	if v.nextNS != 0 && (v.nextNS < c.armed || c.armed == 0) {
		c.armGuest(v.nextNS)
	}
	page := v.shared()
	s := &page.State
	if c.rest == addrOf(v) && v.flags == 0 {
		v.vmx.SwitchInAgain(s, v.xsave)
		v.loaded = true
	} else {
		v.load(c)
	}
	// From here on whoever has something for v kicks this processor. What was there before is found
	// below: the exchange orders the two.
	g := worldAt(v.world)
	g.cpu, g.wait = c.id, waitNone
	atomic.StoreUint32((*uint32)(&g.state), uint32(stateRunning))
	began := v.lastExit
	for n := 0; ; {
		if atomic.LoadUint32(&c.kicked) != 0 || c.resched || atomic.LoadUint32(&v.exitReq) != 0 || !v.timed ||
			!v.lapic().Quiet() || v.lastExit >= v.nextTSC || v.event != 0 || v.halted || !v.started {
			if r = c.beforeBrief(v, s); r != briefOn {
				break
			}
		}
	again:
		v.vmx.Enter(s)
		entered, exited := v.vmx.Entered, v.vmx.Exited
		page.Outside += entered - v.lastExit
		page.Ticks += exited - entered
		v.lastExit = exited
		n++
		if !v.vmx.Unfinished() {
			if s.Exit.Kind == virt.KindIO && !lowerPort(s.Exit.Port) {
				page.Exits[virt.KindIO]++
				r = 0
				break
			}
			if s.Exit.Kind == virt.KindCPUID && n < briefExits {
				page.Exits[virt.KindCPUID]++
				v.doCPUID(s)
				goto again
			}
		}
		if r = c.afterBrief(v, s, began); r != briefOn {
			break
		}
		if n >= briefExits {
			r = sys.BriefOver
			break
		}
	}
	v.loaded = false
	v.vmx.SwitchOut(s, v.xsave, cleanPage)
	page.Last = v.lastExit
	g.state, g.wait = stateBlocked, waitVCPU
	if r == 0 && !c.resched && !at[world](c.world).signalled() {
		atomic.StoreUint32(&v.taken, 0)
		return 0, 1
	}
	return c.endBrief(v, r), 0
}

// mayBrief says whether a brief run may begin, by briefOn, or what the call is to return.
//
//go:noinline
func (c *cpu) mayBrief(v *vcpu) int64 {
	if briefTicks == 0 {
		return sys.BriefNever
	}
	if v.lastExit == 0 {
		return sys.BriefOver
	}
	if c.mustAsk() {
		return sys.BriefAgain
	}
	// What the run takes is to be the virtual processor's, so the policy has to take it for running.
	w, g := at[world](c.world), worldAt(v.world)
	r := int64(sys.BriefOver)
	sched.lock()
	now := nanotime()
	c.settle(now)
	switch {
	case sched.Contended(c.id):
		// Threads that wait run first, for a short while most likely, and the P is kept: given away it would call for
		// the runtime's monitor, which keeps coming then. That isn't done all the time: a thread that goes on for long
		// does so in fewer turns while this one is blocked in vmrun.
		if now >= v.deferred+deferNS && sched.OnlyThreads(c.id) && !sched.Pacing() {
			v.deferred = now
			sched.Yield(c.id)
			c.resched = true
			r = sys.BriefAgain
		}
	case sched.CanSwitch(c.id, g.node, now) && sched.Switch(c.id, g.node, now):
		w.repay(now)
		atomic.StoreUint32(&c.lent, g.id)
		r = briefOn
	}
	c.arm(now) // settle may have brought the time forward at which the policy is to be asked, which nobody else knows of
	c.endVisit()
	sched.unlock()
	return r
}

// beforeBrief does what has come up before an entry.
//
//go:noinline
func (c *cpu) beforeBrief(v *vcpu, s *virt.State) int64 {
	if atomic.LoadUint32(&c.kicked) != 0 || c.resched {
		if c.mustLeaveBrief() {
			return sys.BriefAgain
		}
	}
	if atomic.LoadUint32(&v.exitReq) != 0 {
		atomic.StoreUint32(&v.exitReq, 0)
		s.Exit.Kind = virt.KindNop
		return 0
	}
	if v.attention() && !v.prepare(s) {
		return sys.BriefWaits
	}
	if !v.timed {
		v.timed = true
		v.vmx.SetTimer(briefTicks, true)
	}
	return briefOn
}

// afterBrief handles an exit. The run began at the TSC began.
//
//go:noinline
func (c *cpu) afterBrief(v *vcpu, s *virt.State, began uint64) int64 {
	v.vmx.Decode(s)
	if k := s.Exit.Kind; k < virt.Kinds {
		v.shared().Exits[k]++
	}
	if !v.fastExit(c, s) {
		v.slowExit(s)
		return 0
	}
	if s.Exit.Kind == virt.KindTimer && v.lastExit-began >= briefTicks/2 {
		return sys.BriefOver
	}
	if v.nextNS != 0 {
		c.armGuest(v.nextNS) // what looks after the processor's timer doesn't know of v
	}
	c.endVisit()
	return briefOn
}

// endBrief ends a run other than straight: it resumes the thread, or another world first. It returns
// r, for the caller's convenience.
//
//go:noinline
func (c *cpu) endBrief(v *vcpu, r int64) int64 {
	atomic.StoreUint32(&v.taken, 0)
	w := at[world](c.world)
	if r == sys.BriefAgain && c.mustAsk() && !sched.OnlyThreads(c.id) {
		// The policy is to choose among guests, and a thread that waits for a P mustn't wait for those. If only
		// threads wait, they run first, for a short while most likely.
		r = sys.BriefOver
	}
	w.setResult(r)
	if c.mustAsk() || w.signalled() {
		c.dispatch()
	}
	return r
}

// mustLeaveBrief looks at why the processor was kicked.
func (c *cpu) mustLeaveBrief() bool {
	atomic.StoreUint32(&c.kicked, 0)
	return c.mustAsk() || at[world](c.world).signalled()
}

// answerCPUID answers CPUID until there is another exit, or the host's TSC is until: that exit is decoded.
// There is VT-x.
func (v *vcpu) answerCPUID(s *virt.State, page *sys.VCPUPage, until uint64) {
	for {
		v.doCPUID(s)
		v.vmx.Enter(s)
		entered, exited := v.vmx.Entered, v.vmx.Exited
		page.Outside += entered - v.lastExit
		page.Ticks += exited - entered
		v.lastExit = exited
		if s.Exit.Kind != virt.KindCPUID || v.vmx.Unfinished() || exited >= until {
			break
		}
		page.Exits[virt.KindCPUID]++
	}
	v.vmx.Decode(s)
	if k := s.Exit.Kind; k < virt.Kinds {
		page.Exits[k]++
	}
}
