package core

import (
	"sync/atomic"

	"keel/arch/amd64"
	policy "keel/vmkernel/sched"
	"keel/vmkernel/sys"
)

// sched is the one lock over worlds' states, futexes and timers, and the policy that it protects: which
// world runs where, and for how long, is package sched's to decide. Whoever calls it with the lock held
// may make other processors have to look again; unlock tells them.
var sched scheduler

type scheduler struct {
	spinlock
	policy.Scheduler

	system policy.ID // the group of the Go runtime's threads
}

// Limits of the tree. A virtual processor needs a thread as well.
const (
	maxWorlds  = 3072
	maxPools   = 256
	maxEntries = 3 + maxWorlds + maxMachines + maxPools // none, root and system group among them
	homeSets   = 1 + maxMachines                        // affinity sets: all processors, one a machine, and from here on homes, one a NUMA node
	maxSets    = homeSets + maxNodes
)

// systemRate is what the system group has reserved, and beyond which it is paced while guests want
// processors, in thousandths of each processor. Package vm reserves VMs what is left.
const systemRate = sys.SystemRate

// worldShares are those of a virtual processor among its VM's, which are equals.
const worldShares = 1000

// initSched makes the policy's memory, once the tables say how many processors there may be, and the
// system group. It runs before the Go runtime.
func initSched() {
	n := min(max(int(tables.NumCPUs), 1), maxCPUs)
	nodes, processors := sizeOf[policy.Node]()*maxEntries, sizeOf[policy.CPU]()*uintptr(n)
	words, trees := policy.BitWords(n, maxSets), policy.TreeWords(n)
	size := nodes + processors + 8*uintptr(words) + 4*uintptr(trees)
	if size > amd64.HugeSize {
		die("the scheduler's memory is more than 2 MiB")
	}
	pa := allocPages(int(roundUp(size)/amd64.PageSize), ownerKeel)
	if pa == 0 {
		die("too little memory: no room for the scheduler")
	}
	p := amd64.DirectMap + uintptr(pa)
	sched.Nodes = sliceAt[policy.Node](p, maxEntries)
	p += nodes
	sched.CPUs = sliceAt[policy.CPU](p, n)
	p += processors
	sched.Bits = sliceAt[uint64](p, words)
	p += 8 * uintptr(words)
	sched.Trees = sliceAt[uint32](p, trees)
	sched.Homes = homeSets
	if !sched.Init() {
		die("the scheduler doesn't take its memory")
	}
	sched.system = sched.Create(policy.Root, ownerSystem, policy.Group|policy.System, &policy.Policy{Shares: worldShares})
}

// limitSystem gives the system group its part of the processors that have been started.
func limitSystem() {
	rate := uint32(systemRate * nCPUs)
	sched.SetPolicy(sched.system, &policy.Policy{Shares: worldShares, Reservation: rate, Limit: rate}, nanotime())
}

// Owners of groups, as Keel tells them to the policy; a world's is its index.
const (
	ownerSystem  policy.ID = 1 << 31
	ownerPool    policy.ID = 1<<31 + 1
	ownerMachine policy.ID = 1<<31 + 2
)

// join has the calling processor take part.
func (c *cpu) join() {
	sched.lock()
	sched.Online(c.id, nanotime())
	if numNodes > 1 {
		sched.SetMember(homeSets+uint32(nodeOfCPU(&tables, c.apicID)), c.id, true)
	}
	sched.unlock()
}

// unlock gives the lock back, after telling all processors that are to look again.
func (s *scheduler) unlock() {
	if s.Kicked() {
		s.kick()
	}
	s.spinlock.unlock()
}

// kick tells the processors that are to ask the policy again. The lock is held.
//
//go:noinline
func (s *scheduler) kick() {
	for {
		i := s.TakeKick()
		if i < 0 {
			return
		}
		cpus[i].reconsider()
	}
}

// reconsider has a processor ask the policy as soon as it can.
func (c *cpu) reconsider() {
	if c == me() {
		c.resched = true
		return
	}
	atomic.StoreUint32(&c.repick, 1)
	c.kick()
}

// kick makes a processor look whether there is something to do. Those that want it to ask the policy set
// repick before.
func (c *cpu) kick() {
	if atomic.SwapUint32(&c.kicked, 1) == 0 {
		sendIPI(c.apicID, vecKick)
	}
}

// mustAsk says whether the processor is to ask the policy as soon as it can.
func (c *cpu) mustAsk() bool { return c.resched || atomic.LoadUint32(&c.repick) != 0 }

// look wakes what is due and asks the policy what to run, if it is to. Afterwards c.current is what the
// processor runs, 0 for nothing; what it was may be running elsewhere from the unlock on, so that the
// caller touches of it only what load waits for. The lock is held.
func (c *cpu) look() {
	atomic.StoreUint32(&c.kicked, 0)
	began := amd64.RDTSC()
	now := tscToNS(began)
	c.expireTimers(now)
	if sched.Kicked() {
		sched.kick()
	}
	if c.owned() && c.current != 0 && !c.inGuest() {
		c.resched = true
	}
	guest := false
	for try := 0; try < 4 && (c.current == 0 || c.mustAsk() || now >= sched.Until(c.id)); try++ {
		c.resched = false
		atomic.StoreUint32(&c.repick, 0)
		c.settle(now)
		guest = c.inGuest()
		if guest {
			if left := at[vcpu](worldAt(c.current).vcpu).lastExit; left != 0 {
				sched.Skip(c.id, tscToNS(left), now)
			}
		}
		t := amd64.RDTSC()
		id, _ := sched.Pick(c.id, now)
		c.counter.decisions++
		c.counter.decisionTicks += amd64.RDTSC() - t
		if c.follow(uint32(sched.Owner(id))) {
			c.asked, c.between = began, guest && c.inGuest()
		}
		if sched.Kicked() {
			sched.kick()
		}
		if c.current == 0 {
			break
		}
	}
	c.arm(now)
	if c.asked == began {
		sched.turnTook(tscToNS(amd64.RDTSC()) - now)
	} else if guest && c.inGuest() {
		sched.Skip(c.id, 0, tscToNS(amd64.RDTSC())) // nor is a decision anybody's that lets a guest go on
	}
}

// turnTook tells the policy what it takes to give the processor to another world: nearly the most of what
// it took of late, ns. The lock is held.
func (s *scheduler) turnTook(ns uint64) {
	if ns >= s.TurnCost {
		s.TurnCost = min(ns, policy.MaxTurnCost)
	} else {
		s.TurnCost -= (s.TurnCost - ns) / 64
	}
}

// follow has the processor run a world, 0 for none, and says whether that is another. The lock is held.
func (c *cpu) follow(id uint32) bool {
	if id == c.current {
		return false
	}
	if c.current != 0 {
		if w := worldAt(c.current); w.state == stateRunning && w.cpu == c.id {
			w.state = stateRunnable
			if w.kind == kindVCPU {
				at[vcpu](w.vcpu).lostTurn(w)
			}
		}
	}
	c.current = id
	if id != 0 {
		w := worldAt(id)
		w.state, w.cpu = stateRunning, c.id
		c.counter.switches++
	}
	return id != 0
}

// inGuest says whether the processor runs a virtual processor, as far as the policy is concerned. The lock is held.
func (c *cpu) inGuest() bool { return c.current != 0 && worldAt(c.current).kind == kindVCPU }

// switched ends a switch, as far as what it costs is concerned: the next instructions are the world's. One from a guest
// to another is nobody's time: else guests that share a processor would pay for that with some of their parts, which those with
// one of their own don't. What a switch to or from a thread costs is theirs: the system group's limit is to cover its floods.
func (c *cpu) switched() {
	if c.asked == 0 {
		return
	}
	t := amd64.RDTSC()
	c.counter.switchTicks += t - c.asked
	c.asked = 0
	if c.between {
		sched.lock()
		sched.Skip(c.id, 0, tscToNS(t))
		sched.unlock()
	}
}

// A thread that was handed the processor by its virtual processor's exit runs in that one's name: the
// policy takes the virtual processor for running, so that what the thread does for the guest is the
// guest's time, and neither the exit nor the next entry costs a decision. That ends with the next
// decision of any kind: settle makes the thread, as one of the system group, what runs. So nothing that
// keeps guests from running ever keeps a thread from it. What the thread still does before it comes back to
// vmrun, or blocks, is billed to the VM, see repay.

// settle ends that c's thread runs in the name of a virtual processor. The lock is held, and any
// processor may hold it: the one whose call destroys that virtual processor, for example.
func (c *cpu) settle(now uint64) {
	if c.lent == 0 {
		return
	}
	g, w := worldAt(c.lent), worldAt(c.current)
	atomic.StoreUint32(&c.lent, 0)
	if !sched.Switch(c.id, w.node, now) {
		fatal("a thread was kept from running", uint64(w.id))
	}
	w.behalf, w.behalfBorn = g.id, g.created
	w.behalfUsed = sched.Used(w.node)
}

// repay bills what thread w did since settle to the VM for which it did it. The lock is held, and the
// policy has charged w up to now.
func (w *world) repay(now uint64) {
	if w.behalf == 0 {
		return
	}
	if g := worldAt(w.behalf); g.created == w.behalfBorn && g.state != stateFree {
		d := sched.Used(w.node) - w.behalfUsed
		sched.Bill(g.node, d, now)
		g.billed += d
	}
	w.behalf = 0
}
