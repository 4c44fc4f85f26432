package main

import (
	"encoding/binary"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"keel/arch/amd64/virt"
	"keel/vmkernel/sys"
)

const (
	guestMemory = 64 << 10
	codePage    = 0x1000 // of virtual processor 0, and the others' follow
	localAPIC   = 0xFEE0_0000
)

// A guest is a virtual machine that runs one program on each of its virtual processors.
type guest struct {
	handle sys.VMHandle
	memory []byte
	pages  []*sys.VCPUPage
	policy sys.CPUPolicy

	quit   atomic.Bool
	back   sync.WaitGroup
	exits  atomic.Int64 // that came up here
	failed atomic.Pointer[string]
}

// newGuest makes a guest that doesn't run yet.
func newGuest(program []byte, vcpus int, p sys.CPUPolicy) (*guest, error) {
	return newGuestOn(0, program, vcpus, p)
}

// newGuestOn makes one with memory of a NUMA node.
func newGuestOn(node int, program []byte, vcpus int, p sys.CPUPolicy) (*guest, error) {
	g := &guest{policy: p}
	c := sys.VMConfig{Memory: guestMemory, Overhead: uint64(20+14*vcpus) << 12, VCPUs: uint64(vcpus), Node: uint64(node), CPU: p}
	var err error
	if g.handle, err = sys.VMCreate(&c); err != nil {
		return nil, fmt.Errorf("making a VM: %w", err)
	}
	if err := g.load(program, vcpus); err != nil {
		sys.VMDestroy(g.handle)
		return nil, err
	}
	return g, nil
}

func (g *guest) load(program []byte, vcpus int) error {
	if err := sys.VMReserve(g.handle, guestMemory); err != nil {
		return fmt.Errorf("giving a VM memory: %w", err)
	}
	for gpa := uint64(0); gpa < guestMemory; gpa += 0x1000 {
		if err := sys.VMPopulate(g.handle, gpa, false); err != nil {
			return fmt.Errorf("giving a VM memory at %#x: %w", gpa, err)
		}
	}
	var err error
	if g.memory, _, err = sys.VMMemory(g.handle); err != nil {
		return err
	}
	for i := range vcpus {
		p, err := sys.VCPUPageOf(g.handle, i)
		if err != nil {
			return err
		}
		g.pages = append(g.pages, p)
		copy(g.code(i), program)
		copy(g.code(i)[handlerAt:], floodHandler)
	}
	binary.LittleEndian.PutUint16(g.memory[4*timerVector:], handlerAt)
	binary.LittleEndian.PutUint16(g.memory[4*timerVector+2:], codePage>>4)
	s := &g.pages[0].State // as after power-on, but for these
	s.Seg[virt.CS].Selector, s.Seg[virt.CS].Base = codePage>>4, codePage
	s.RIP = 0
	return nil
}

// code is the page of virtual processor i's program.
func (g *guest) code(i int) []byte { return g.memory[codePage*(i+1):][:0x1000] }

// start runs all virtual processors. The others are told to start before the first runs: its program may have its local APIC in
// x2APIC mode by then, which takes no message from here.
func (g *guest) start() {
	for i := 1; i < len(g.pages); i++ {
		for _, command := range []uint32{0x4500, 0x4600 | uint32(i+1)} { // INIT, then SIPI with the page of its code
			sys.VMMMIOWrite(g.handle, 0, localAPIC+0x310, uint32(i)<<24)
			sys.VMMMIOWrite(g.handle, 0, localAPIC+0x300, command)
		}
	}
	for i := range g.pages {
		g.back.Add(1)
		go g.run(i)
	}
}

// run is the goroutine of virtual processor i.
func (g *guest) run(i int) {
	defer g.back.Done()
	flags := uint64(0)
	if i == 0 {
		flags = sys.RunSetState
	}
	s := &g.pages[i].State
	for !g.quit.Load() {
		if errno := sys.VCPURun(g.handle, i, flags, 0, true); errno != 0 {
			g.fail("virtual processor %d: %v", i, errno)
			return
		}
		flags = 0
		switch s.Exit.Kind {
		case virt.KindNop:
		case virt.KindIO:
			g.exits.Add(1)
			s.GPR[virt.RAX] |= 0xFF
		default:
			g.fail("virtual processor %d: an exit of kind %d at %#x", i, s.Exit.Kind, s.RIP)
			return
		}
	}
}

func (g *guest) fail(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	g.failed.CompareAndSwap(nil, &text)
}

// stop has all virtual processors return, says how long that took, and gives all back.
func (g *guest) stop() (time.Duration, error) {
	began := time.Now()
	g.quit.Store(true)
	for i := range g.pages {
		sys.VCPUKick(g.handle, i)
	}
	g.back.Wait()
	took := time.Since(began)
	if err := sys.VMDestroy(g.handle); err != nil {
		return took, fmt.Errorf("destroying a VM: %w", err)
	}
	if text := g.failed.Load(); text != nil {
		return took, fmt.Errorf("%s", *text)
	}
	return took, nil
}

// states says what its virtual processors do, for a guest that doesn't do what it should.
func (g *guest) states() string {
	text := fmt.Sprintf("policy %+v", g.policy)
	for i := range g.pages {
		var s sys.WorldStats
		if err := sys.GetVCPUStats(g.handle, i, &s); err != nil {
			return text + "; " + err.Error()
		}
		text += fmt.Sprintf("; %d: state %d on processor %d, used %v ready %v limited %v paused %v blocked %v picks %d", i, s.State, s.CPU,
			us(s.Used), us(s.Ready), us(s.Limited), us(s.Paused), us(s.Blocked), s.Picks)
	}
	return text
}

// set changes what the guest may have.
func (g *guest) set(change func(*sys.CPUPolicy)) error {
	p := g.policy
	change(&p)
	if err := sys.VMSetCPU(g.handle, &p); err != nil {
		return err
	}
	g.policy = p
	return nil
}

// rounds is what all virtual processors have counted, modulo 2^32 each.
func (g *guest) rounds() (all uint64) {
	for i := range g.pages {
		all += uint64(binary.LittleEndian.Uint32(g.code(i)[counterAt:]))
	}
	return all
}

// used is the time that all virtual processors had, the longest that one waited, and when that was read.
func (g *guest) used() (used, longest, now time.Duration) {
	for i := range g.pages {
		var s sys.WorldStats
		if sys.GetVCPUStats(g.handle, i, &s) == nil {
			used += time.Duration(s.Used)
			longest = max(longest, time.Duration(s.MaxReady))
			now = time.Duration(s.Now)
		}
	}
	return used, longest, now
}

// guests makes and starts several, or none.
func guests(make ...func() (*guest, error)) ([]*guest, error) {
	var all []*guest
	for _, f := range make {
		g, err := f()
		if err != nil {
			var s sys.Stats
			sys.GetStats(&s)
			stopAll(all)
			return nil, fmt.Errorf("%w (guest %d, %d MiB free, %d worlds)", err, len(all)+1, s.FreeMemory>>20, s.Worlds)
		}
		all = append(all, g)
	}
	for _, g := range all {
		g.start()
	}
	return all, nil
}

func stopAll(all []*guest) (err error) {
	for _, g := range all {
		if _, e := g.stop(); e != nil {
			err = e
		}
	}
	return err
}

// of is a guest for guests.
func of(program []byte, vcpus int, p sys.CPUPolicy) func() (*guest, error) {
	return func() (*guest, error) { return newGuest(program, vcpus, p) }
}

// A span is what guests had between two readings, wall apart. Under a flood the thread that reads waits in between for its turns:
// between the two readings of one guest, span, is less.
type span struct {
	wall   time.Duration
	span   []time.Duration
	used   []time.Duration
	rounds []uint64
}

// observe lets the guests run for some time and says what each had of it.
func observe(all []*guest, d time.Duration) span {
	s := span{span: make([]time.Duration, len(all)), used: make([]time.Duration, len(all)), rounds: make([]uint64, len(all))}
	began := time.Now()
	for i, g := range all {
		s.used[i], _, s.span[i] = g.used()
		s.rounds[i] = g.rounds()
	}
	time.Sleep(d)
	for i, g := range all {
		u, _, now := g.used()
		s.used[i], s.span[i] = u-s.used[i], now-s.span[i]
		s.rounds[i] = uint64(uint32(g.rounds() - s.rounds[i]))
	}
	s.wall = time.Since(began)
	return s
}

func (s span) total() (sum time.Duration) {
	for _, u := range s.used {
		sum += u
	}
	return sum
}
