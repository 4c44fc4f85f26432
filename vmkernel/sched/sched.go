package sched

// An ID names a node of the tree, a group or a world: its index in Memory.Nodes.
type ID uint32

const (
	None ID = 0 // no node
	Root ID = 1 // the group of all others; it can't be changed or destroyed
)

// Never is a time that doesn't come.
const Never = ^uint64(0)

// Times, in ns. The bounds that doc.go states follow from them.
const (
	Slice       = 1_000_000 // a world's turn while others wait
	PacedSlice  = 25_000    // the shortest turn of a thread of the system group above its limit, while guests wait
	pacedPart   = 750       // thousandths of the limit that such turns take where they are longer
	SystemWait  = 1_000_000 // no thread of the system group waits longer
	MaxTurnCost = 75_000    // more is the machine's fault
	WakeCredit  = 1_000_000 // service that a sleeper may be ahead of who didn't sleep
	LagMax      = 20_000_000
	MigrateLag  = 2_000_000      // of wall time, that a world must be behind to be moved to a busy processor
	EarlyMax    = 4_000_000      // likewise, by which a pool's child is due later at most for having had more than its part
	EarlyDue    = 2_000_000      // likewise, for its pool's reservation
	AwayLag     = 2_000_000      // likewise, in addition, to be moved to a processor that isn't at home
	DueLag      = 500_000        // likewise, by its reservation
	PreemptLag  = 100_000        // likewise, to end another's turn by waking
	LimitBurst  = 8_000_000      // of wall time, that use may be ahead of a limit
	SystemDebt  = 4 * LimitBurst // likewise, and is remembered of the system group
	ReserveLag  = 4_000_000      // of wall time, that use may be ahead of or behind a reservation and be remembered
	Soonest     = 2 * minTimer   // between two decisions, and TurnCost, see Scheduler.soonest
	SkewMax     = 3_000_000      // progress of a vCPU beyond a waiting one of its VM
	putOffMax   = 2 * Slice      // by which a prepaid turn that ends early may have others of its group be late
	keepTurns   = 4              // of service, that use is ahead of a reservation and is remembered
	debtTurns   = 128            // that the tag of a node with a reservation is ahead at most
	keyTurns    = 4              // of its own, that a world's key is ahead of its processor's clock at most
	holdMax     = 1_000_000      // after which a vCPU that was too far ahead is looked at again
	parkMax     = 5_000_000      // likewise a parked world, so that changes of limits take effect
	minTimer    = 10_000         // no timer is set for sooner, see soonest
	maxCharge   = 1 << 36        // ns: what is charged at once; 68 s
	maxDistance = 1 << 60        // of two tags in one group
)

// Ranges of what may be set.
const (
	MaxShares   = 1_000_000
	MaxRate     = 1_000 * 4096 // reservation or limit, in 1/1000 of a processor
	MaxDepth    = 10           // of a world below the root: eight pools, a VM, its virtual processors
	MaxSiblings = 64           // worlds in a group with bounded skew
	MaxCPUs     = 4096
)

// A State is what a world does.
type State uint8

const (
	Free    State = iota // not a node
	Blocked              // wants no processor
	Ready                // waits for one
	Running              // has one
	Parked               // wants one and may not have it yet: a limit, or too far ahead of its siblings
	Paused               // wants one and may not have it until it is resumed
)

// Flags of a node.
const (
	Group    = 1 << iota // it has children
	System               // the system group or below it: pre-empts guests, and isn't stopped by limits
	Cosched              // a group of worlds, the virtual processors of one VM, whose skew is bounded
	movable              // may run on more than one processor
	anywhere             // may run on all that aren't exclusive
	blocked0             // a paused world is to be blocked when resumed
	wantStop             // a running world is to be paused at the next Pick
	gaveUp               // a waiting virtual processor ended its turn itself: nobody waits for it, see skew.go
	homeless             // its affinity set has no processor of its home: all are as far
	meant                // a pool, the mean of whose children is kept, see mean.go
)

// A link is a node's place in a heap or a ring, see heap.go and ring.go.
type link struct {
	key         uint64
	left, right ID
	up          ID
	ld, rd      uint8 // dist of left and right
	in          bool  // it is in one
}

// Links of a node.
const (
	byKey      = iota // a processor's queue by virtual time, or its list of the parked
	byDue             // a processor's queue by real time: reservations, threads of the system group
	byProgress        // the group's worlds that wait or are parked, least progress first: a ring
	byTag             // the group's children with waiting worlds, least tag first: a ring in a Cosched group
	links
)

// A Node is a group or a world. Its fields belong to the package; the accessors in stats.go read them.
type Node struct {
	link [links]link

	parent, owner ID // owner is the caller's
	sibling       ID // ring of a Cosched group's worlds; the free list
	children      uint32
	worlds        uint32 // a group's: below it, at any depth
	sets, squares uint64 // likewise, the sum of their affinity sets, and of the squares
	first         ID     // a Cosched group's: one of the ring

	cpu   uint32 // where it waits, runs, or ran last
	state State
	flags uint16
	depth uint8
	heap  uint8 // of its processor, that it waits in by virtual time, see queues
	timed uint8 // likewise, by real time
	set   uint32
	base  uint32 // of a child of the root: the affinity set by whose processors' clocks its tag goes, see affinity.go
	home  uint32 // the set of the processors that are next to its memory, 0: all are as near, see home.go

	shares, reservation, limit uint32
	inverse                    uint64 // 2^40/shares
	perReserved, perLimit      uint64 // wall time that a ns of service stands for, x 2^20

	tag        uint64 // virtual time of its service, in its parent's
	clock      uint64 // a group's virtual time
	active     uint64 // a group's: shares of its runnable children
	contending uint64 // likewise, of those with waiting worlds
	mean, rest uint64 // a pool's: of its runnable children's tags, see mean.go
	over       uint64 // a pool's: how far that is ahead of its virtual time, since who left was behind
	nactive    uint32 // its runnable children; a world's: 1 when runnable
	free       uint64 // a group's virtual time that passed as its children's service was free, see tags.go
	slept      uint64 // what its group's free was when it last wanted a processor
	nwait      uint32 // waiting worlds below; the root's isn't kept
	nrun       uint32 // running worlds below; likewise
	resTag     uint64 // wall time up to which its reservation has been served
	limTag     uint64 // wall time up to which its limit has been used
	prepaid    uint64 // of turns for a reservation, its or another's, that are under way below, what is left of them, ns

	progress uint64 // service, for the skew; a group's: that of its foremost
	floor    uint64 // a group's: none that is to be waited for has less progress, see skew.go
	waiting  ID     // a group's worlds by progress
	least    ID     // and its children by tag

	moved uint64 // when it was last given to another processor
	top   uint64 // beyond which its key doesn't grow while it waits

	used, waited, parked, paused uint64 // ns, since its creation
	since                        uint64 // when it began to wait, or was parked or paused
	maxWait                      uint64
	picks                        uint64
}

// Heaps of a processor.
const (
	qAny    = iota // worlds that may run anywhere, by virtual time
	qSome          // those with an affinity set of several processors
	qPinned        // those of this processor only
	qSystem        // threads of the system group, who has waited longest first
	qDue           // worlds with a reservation, by when it is due
	qLook          // those without: a ring, by when their key is looked at again
	qParked        // parked worlds, by when they may go on
	queues
)

// A CPU is a processor. Its fields belong to the package.
type CPU struct {
	queue [queues]ID
	nq    uint32 // worlds that wait here
	nsys  uint32 // of which threads of the system group

	current   ID
	online    bool
	idling    bool   // its last Pick found nothing
	dueTurn   bool   // current was picked for its reservation, and keeps its turn
	yielded   bool   // current gave its turn up
	next      ID     // who is to have it
	owed      ID     // who is to have the turn for a reservation that Pick found due, though it may not be due itself
	since     uint64 // up to when current's time is charged
	contended uint64 // the contended clock then
	started   uint64 // when current's turn began
	until     uint64 // what the last Pick returned
	prepaid   uint64 // of current's turn for a reservation, what is left of it, ns: no more than until started+Slice
	excess    uint64 // by which current's key is beyond what it may be while it waits, see Node.top
	clock     uint64 // the root's virtual time, here
	exclusive uint32 // affinity set that has it alone, 0 none
	probe     uint32

	picks, switches, moves, kicked, idleNS, idleSince uint64
}

// Memory is what a Scheduler lives in; it is handed in and never grows.
type Memory struct {
	Nodes []Node   // worlds and groups at a time, and two more
	CPUs  []CPU    // at most MaxCPUs
	Bits  []uint64 // BitWords(len(CPUs), sets)
	Trees []uint32 // TreeWords(len(CPUs))
}

// BitWords is the length of Memory.Bits for a number of processors and of affinity sets.
func BitWords(cpus, sets int) int { return (cpus + 63) / 64 * (fixedSets + sets) }

// TreeWords is the length of Memory.Trees for a number of processors.
func TreeWords(cpus int) int { return cups * 2 * roundUp(cpus) }

func roundUp(n int) int {
	p := 1
	for p < n {
		p *= 2
	}
	return p
}

// A Scheduler is the policy's whole state. One lock of the caller's protects it, see doc.go.
type Scheduler struct {
	Memory

	TurnCost uint64 // ns, at most MaxTurnCost: what it takes the machine to end a turn and begin the next; it may change at any time

	Homes uint32 // the affinity sets from this one on are homes (SetHome) and nobody's affinity; 0: none is

	words  uint32 // of a set of processors
	sets   uint32 // affinity sets
	leaves uint32 // of a tournament
	online uint32
	free   ID // list of free nodes
	nodes  uint32

	system ID
	pacing bool // the system group is above its limit

	limits         uint32 // nodes outside the system group that have a limit
	reserves       uint32 // likewise, a reservation
	waiting        uint32 // worlds that wait and could run elsewhere
	some           uint32 // of which with an affinity set
	contendedNS    uint64 // time during which there were any
	contendedSince uint64
	rootAt         uint64 // when the root's clock last moved
	kicks          uint32
	called         uint32 // the processor that callBack looked at last
}

// Init makes s empty: the root, no processor online, affinity set 0 without a processor. Where its
// memory doesn't fit together, false.
func (s *Scheduler) Init() bool {
	n := len(s.CPUs)
	if n == 0 || n > MaxCPUs || len(s.Nodes) < 3 || len(s.Nodes) > 1<<30 || len(s.Trees) < TreeWords(n) {
		return false
	}
	s.words = uint32(n+63) / 64
	s.leaves = uint32(roundUp(n))
	all := len(s.Bits) / int(s.words)
	if all <= fixedSets {
		return false
	}
	s.sets = uint32(all) - fixedSets
	for i := range s.Bits {
		s.Bits[i] = 0
	}
	for i := range s.Trees {
		s.Trees[i] = noCPU
	}
	for i := range s.CPUs {
		s.CPUs[i] = CPU{until: Never}
	}
	s.free, s.nodes, s.system, s.online = None, 0, None, 0
	s.waiting, s.some, s.contendedNS, s.kicks, s.pacing = 0, 0, 0, 0, false
	s.limits, s.reserves, s.called = 0, 0, 0
	for i := len(s.Nodes) - 1; i > int(Root); i-- {
		s.Nodes[i] = Node{sibling: s.free}
		s.free = ID(i)
	}
	s.Nodes[Root] = Node{state: Blocked, flags: Group}
	s.Nodes[Root].setShares(1)
	s.Nodes[None] = Node{}
	return true
}
