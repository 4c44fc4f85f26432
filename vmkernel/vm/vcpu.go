package vm

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"sync/atomic"

	"keel/arch/amd64/virt"
	"keel/vmkernel/device"
	"keel/vmkernel/linux"
	"keel/vmkernel/sys"
	"keel/vmkernel/vm/mmio"
)

// A vcpu is a virtual processor as the goroutine sees it that runs it.
type vcpu struct {
	in    *instance
	index int
	page  *sys.VCPUPage

	// For the next Run.
	flags uint64
	event virt.Event

	last     uint64 // host TSC of the last exit
	outside  uint64 // the page's Outside then
	rare     uint64 // ticks between exits from which on they are rare...
	often    uint64 // ...and below which they are so frequent that runs are brief
	yielded  uint64 // host TSC of the last exit that gave the P away
	turn     uint64 // ticks after which one does
	bus      *device.Bus
	kernel   bool // the backend is Kernel, which is called directly
	emulator *mmio.Emulator
	cpu      mmio.CPU
	buf      [8]byte // an element of string I/O
}

// How many exits a second are so few that Run gives its P away at once, rather than have sysmon notice
// after a while; and how many are so many that a brief run, which keeps the P, will see one.
const (
	rareRate  = 10_000
	oftenRate = 40_000
)

// turns is how many times a second a virtual processor with frequent exits gives its P away. The
// runtime takes the P of a goroutine that hasn't been scheduled for 10 ms, and then at every exit, which
// costs several times as much as the exit does.
const turns = 200

func newVCPU(in *instance, index int, page *sys.VCPUPage) *vcpu {
	hz := in.host.TSCHz
	c := &vcpu{in: in, index: index, page: page, rare: hz / rareRate, often: hz / oftenRate, turn: hz / turns}
	_, c.kernel = in.backend.(Kernel)
	if in.board != nil {
		c.bus = &in.board.bus
	}
	c.emulator = mmio.New(in.memory, &space{c})
	return c
}

// A pace is how frequent a guest's exits are, and so how it is run.
type pace uint8

const (
	rare     pace = iota // the P is handed on at once
	moderate             // it is handed on once sysmon finds that this takes long
	brisk                // it is kept, and the run brief
)

// loop runs the processor until the VM stops. A panic of a device model is the VM's end, and so is a fault in the guest's memory:
// a device model that touches what isn't there has it populated, unless the host itself is about to have none.
func (c *vcpu) loop() {
	debug.SetPanicOnFault(true)
	defer func() {
		if r := recover(); r != nil {
			c.in.log.Error("panic in a device model", "vcpu", c.index, "panic", r, "stack", string(debug.Stack()))
			c.in.stop(Reason{Cause: Crash, Text: fmt.Sprint("panic in a device model: ", r)})
		}
	}()
	p := rare
	for !c.in.stopping.Load() {
		if p == brisk {
			var r int64
			if c.kernel {
				r = sys.VCPURunBriefly(c.in.handle, c.index, c.flags, c.event)
			} else {
				r = c.in.backend.RunBriefly(c.in.handle, c.index, c.flags, c.event)
			}
			c.flags, c.event = 0, 0
			if r != 0 {
				p = c.interlude(r)
				continue
			}
		} else {
			errno := c.in.backend.Run(c.in.handle, c.index, c.flags, c.event, p == rare)
			if errno != 0 {
				c.crash("virtual processor %d can't run: %v", c.index, errno)
				return
			}
			c.flags, c.event = 0, 0
		}
		p = c.pace()
		s := &c.page.State
		if e := &s.Exit; e.Kind != virt.KindIO || e.String {
			c.dispatch(s)
			if atomic.LoadUint32(&c.page.Overdrawn) != 0 {
				c.repay()
			}
		} else if e.In && e.Size == 1 { // drivers poll
			s.GPR[virt.RAX] = s.GPR[virt.RAX]&^0xFF | uint64(c.bus.In(e.Port, 1))
		} else {
			c.portIO(s)
		}
	}
}

// interlude is what follows a brief run that ended with r and no exit.
//
//go:noinline
func (c *vcpu) interlude(r int64) pace {
	switch {
	case r == sys.BriefOver:
		return moderate
	case r == sys.BriefWaits:
		return rare
	case r == sys.BriefAgain:
		return brisk
	case r == sys.BriefNever:
		c.often = 0
		return moderate
	}
	c.crash("virtual processor %d can't run: %v", c.index, linux.Errno(-r))
	return rare
}

// pace says how frequent exits are at the one that the guest is at. How long the exit before took to
// handle doesn't count: a slow hand-over would call for a slower one. Where exits are frequent it gives
// the P away every turn, the first time at once.
func (c *vcpu) pace() pace {
	now, outside := c.page.Last, c.page.Outside
	ran := now - c.last - (outside - c.outside)
	c.last, c.outside = now, outside
	if ran >= c.rare {
		return rare
	}
	if now-c.yielded >= c.turn {
		c.yielded = now
		runtime.Gosched()
	}
	if ran >= c.often {
		return moderate
	}
	return brisk
}

// dispatch handles the exit that s is at. It allocates nothing, unless the VM ends.
func (c *vcpu) dispatch(s *virt.State) {
	switch e := &s.Exit; e.Kind {
	case virt.KindIO:
		if e.String {
			c.stringIO(s)
		} else {
			c.portIO(s)
		}
	case virt.KindMMIO, virt.KindAPICRead:
		c.mmio(s)
	case virt.KindNop: // kicked
	case virt.KindTripleFault:
		c.in.stop(Reason{Cause: Reboot, Text: "triple fault"})
	case virt.KindFailedEntry:
		c.crash("the processor refused the guest's state: %s", c.message())
	case virt.KindDelivery:
		if c.absent(s) {
			return // the delivery is tried again
		}
		c.crash("the delivery of vector %d accessed %#x, where there is no RAM, with the guest at %#x", e.Vector, e.GPA, s.RIP)
	case virt.KindException:
		c.crash("exception %d, error code %#x, left the guest at %#x", e.Vector, e.ErrCode, s.RIP)
	default:
		c.crash("unhandled exit (%s, reason %#x, qualification %#x) at %#x", kindName(e.Kind), e.Reason, e.Qual, s.RIP)
	}
}

// portIO leads an IN or OUT to its device. RIP is behind it already.
func (c *vcpu) portIO(s *virt.State) {
	e, rax := &s.Exit, &s.GPR[virt.RAX]
	bus, size := c.bus, int(e.Size)
	if !e.In {
		bus.Out(e.Port, size, uint32(*rax))
		return
	}
	v := uint64(bus.In(e.Port, size))
	switch size {
	case 1:
		*rax = *rax&^0xFF | v
	case 2:
		*rax = *rax&^0xFFFF | v
	default:
		*rax = v
	}
}

// crash ends the VM with a dump of the processor. All of its state must be valid.
func (c *vcpu) crash(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	c.dump(text)
	c.in.stop(Reason{Cause: Crash, Text: text})
}

// message is what the lower half says of a refused entry.
func (c *vcpu) message() string {
	m := c.page.Message[:]
	for i, b := range m {
		if b == 0 {
			return string(m[:i])
		}
	}
	return string(m)
}
