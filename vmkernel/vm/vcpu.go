package vm

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"keel/arch/amd64/virt"
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
	rare     uint64 // ticks between exits from which on they are rare
	yielded  uint64 // host TSC of the last exit that gave the P away
	turn     uint64 // ticks after which one does
	emulator *mmio.Emulator
	cpu      mmio.CPU
	buf      [8]byte // an element of string I/O
}

// rareRate is how many exits a second are so few that Run gives its P away at once, rather than have
// sysmon notice after a while.
const rareRate = 10_000

// turns is how many times a second a virtual processor with frequent exits gives its P away. The
// runtime takes the P of a goroutine that hasn't been scheduled for 10 ms, and then at every exit, which
// costs several times as much as the exit does.
const turns = 200

func newVCPU(in *instance, index int, page *sys.VCPUPage) *vcpu {
	c := &vcpu{in: in, index: index, page: page, rare: in.host.TSCHz / rareRate, turn: in.host.TSCHz / turns}
	c.emulator = mmio.New(in.memory, &space{c})
	return c
}

// loop runs the processor until the VM stops. A panic of a device model is the VM's end.
func (c *vcpu) loop() {
	defer func() {
		if r := recover(); r != nil {
			c.in.log.Error("panic in a device model", "vcpu", c.index, "panic", r, "stack", string(debug.Stack()))
			c.in.stop(Reason{Cause: Crash, Text: fmt.Sprint("panic in a device model: ", r)})
		}
	}()
	block := true
	for !c.in.stopping.Load() {
		errno := c.in.backend.Run(c.in.handle, c.index, c.flags, c.event, block)
		if errno != 0 {
			c.crash("virtual processor %d can't run: %v", c.index, errno)
			return
		}
		block = c.rarely()
		if c.last-c.yielded >= c.turn {
			c.yielded = c.last
			if !block {
				runtime.Gosched()
			}
		}
		c.flags, c.event = 0, 0
		if s := &c.page.State; s.Exit.Kind == virt.KindIO && !s.Exit.String {
			c.portIO(s)
		} else {
			c.dispatch(s)
		}
	}
}

// rarely says whether the guest ran or waited for long before the exit that it is at. How long the
// exit before took to handle doesn't count: a slow hand-over would call for a slower one.
func (c *vcpu) rarely() bool {
	now, outside := c.page.Last, c.page.Outside
	ran := now - c.last - (outside - c.outside)
	c.last, c.outside = now, outside
	return ran >= c.rare
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
	bus, size := &c.in.board.bus, int(e.Size)
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
