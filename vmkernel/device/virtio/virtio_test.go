package virtio_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"keel/vmkernel/device/virtio"
	. "keel/vmkernel/device/virtio/virtiotest"
	"keel/vmkernel/vm/guestmem"
)

// echo is a device that takes every chain and remembers it.
type echo struct {
	t        *virtio.MMIO
	queues   []virtio.Queue
	chains   [][]virtio.Buffer
	config   [8]byte
	starts   int
	features uint64
}

func (e *echo) ID() uint32                                 { return 42 }
func (e *echo) Features() uint64                           { return 1 << 5 }
func (e *echo) Queues() []uint16                           { return []uint16{8, 0, 128} }
func (e *echo) ReadConfig(off uint64, size int) uint64     { return uint64(off)<<8 | uint64(size) }
func (e *echo) WriteConfig(off uint64, size int, v uint64) { e.config[off%8] = byte(v) }
func (e *echo) Stop()                                      { e.queues = nil }
func (e *echo) Start(features uint64, queues []virtio.Queue, _ *guestmem.Memory) {
	e.features, e.queues, e.starts = features, queues, e.starts+1
}

func (e *echo) Notify(i int) error {
	q := &e.queues[i]
	n, err := q.Pending()
	for range n {
		head, chain, perr := q.Pop()
		if perr != nil {
			return perr
		}
		e.chains = append(e.chains, slices.Clone(chain))
		if err := q.Push(head, 7); err != nil {
			return err
		}
	}
	if n > 0 {
		e.t.Used(q)
	}
	return err
}

func newEcho(tb testing.TB) (*echo, *Driver, *Line) {
	e, line := &echo{}, &Line{}
	e.t = virtio.NewMMIO(e, line)
	mem := Memory(tb, 1<<20)
	e.t.SetMemory(mem)
	return e, &Driver{TB: tb, Dev: e.t, Mem: mem}, line
}

const version1 = virtio.FeatureVersion1

func TestIdentity(t *testing.T) {
	_, d, _ := newEcho(t)
	for reg, want := range map[uint64]uint32{0: 0x74726976, 4: 2, 8: 42, 0xC: 0x4C45454B, 0xB0: ^uint32(0), 0xBC: ^uint32(0), 0x3C: 0, 0xA8: 0, 0x1000 - 4: 0xEFC<<8 | 4} {
		if got := d.Get(reg); got != want {
			t.Errorf("register %#x: %#x, want %#x", reg, got, want)
		}
	}
	for _, access := range []struct {
		addr uint64
		size int
	}{{0, 1}, {0, 2}, {0, 8}, {2, 4}, {1, 4}, {0x101, 2}, {0x104, 8}, {0x100, 3}} {
		if got := d.Dev.Read(access.addr, access.size); got != 0 {
			t.Errorf("%d bytes at %#x read %#x, want 0", access.size, access.addr, got)
		}
	}
}

func TestInitialisationFollowsTheSpecification(t *testing.T) {
	e, d, line := newEcho(t)
	offered := d.Offered()
	if offered != version1|virtio.FeatureIndirect|1<<5 {
		t.Errorf("offered %#x", offered)
	}
	for _, c := range []struct {
		features uint64
		ok       bool
	}{{0, false}, {1 << 5, false}, {version1 | 1<<6, false}, {version1 | 1<<63, false}, {version1, true}, {offered, true}} {
		if ok := d.Negotiate(c.features); ok != c.ok {
			t.Errorf("features %#x: taken %v", c.features, ok)
		}
		if !c.ok {
			d.OK()
			if e.starts != 0 || d.Get(Status)&virtio.StatusDriverOK != 0 {
				t.Fatal("it starts without features")
			}
		}
	}
	d.Set(DriverFeatures, 0) // too late
	r := d.Ring(2, 64, 0x1000)
	if d.Get(QueueReady) != 1 || d.Get(QueueSizeMax) != 128 {
		t.Errorf("queue 2: ready %d, at most %d", d.Get(QueueReady), d.Get(QueueSizeMax))
	}
	for _, n := range []uint32{1, 3, 1 << 31, ^uint32(0)} {
		d.Set(QueueSel, n)
		if d.Get(QueueSizeMax) != 0 || d.Get(QueueReady) != 0 {
			t.Errorf("there is a queue %d", n)
		}
		d.Set(QueueReady, 1)
		d.Set(QueueNotify, n)
	}
	r.Send(virtio.Buffer{Addr: 0, Len: 1}) // not started: no effect
	if len(e.chains) != 0 {
		t.Error("a queue is served before DRIVER_OK")
	}
	d.OK()
	if e.starts != 1 || e.features != offered {
		t.Errorf("%d starts, features %#x", e.starts, e.features)
	}
	if len(e.chains) != 1 {
		t.Error("what was available before DRIVER_OK is never served")
	}
	r.Kick()
	if len(e.chains) != 1 || !line.High || d.Get(InterruptStatus) != 1 {
		t.Errorf("%d chains, line %v, interrupts %d", len(e.chains), line.High, d.Get(InterruptStatus))
	}
	d.Set(InterruptACK, 1)
	if line.High || d.Get(InterruptStatus) != 0 {
		t.Error("the acknowledged interrupt stays")
	}
	generation := d.Get(Generation)
	e.t.Lock()
	e.t.ConfigChanged()
	e.t.Unlock()
	if !line.High || d.Get(InterruptStatus) != 2 || d.Get(Generation) == generation {
		t.Error("the driver isn't told of a change of the configuration")
	}
	d.Set(Status, 0)
	if line.High || d.Get(Status) != 0 || e.queues != nil || d.Get(InterruptStatus) != 0 {
		t.Error("a reset leaves something")
	}
	d.Set(QueueSel, 2)
	if d.Get(QueueReady) != 0 {
		t.Error("a queue is ready after a reset")
	}
}

func TestChainsAreReadAsWritten(t *testing.T) {
	e, d, line := newEcho(t)
	d.Negotiate(version1 | virtio.FeatureIndirect)
	r := d.Ring(0, 8, 0x1000)
	d.OK()
	want := []virtio.Buffer{{Addr: 0x8000, Len: 5}, {Addr: ^uint64(0), Len: ^uint32(0)}, {Addr: 0x9000, Len: 0, Write: true}}
	heads := []uint16{r.Send(want...)}
	// Round the ring, and past the wrap of its 16-bit indices.
	for range 70_000 {
		heads = append(heads[:0], r.Send(want[0]))
		if used := r.Used(); used[len(used)-1] != heads[0] {
			t.Fatalf("came back %v, want %v", used, heads)
		}
	}
	if !slices.Equal(e.chains[0], want) || len(e.chains) != 70_001 {
		t.Errorf("%d chains, the first is %+v", len(e.chains), e.chains[0])
	}
	// An indirect table of as many as the queue has.
	e.chains, want = nil, nil
	for i := range uint16(8) {
		d.Descriptor(0x8000, i, uint64(i), uint32(i), min(1, 7-i), (i+1)%8)
		want = append(want, virtio.Buffer{Addr: uint64(i), Len: uint32(i)})
	}
	d.Descriptor(r.At, 3, 0x8000, 8*16, 4, 0)
	r.Offer(3)
	r.Kick()
	if d.Broken() || len(e.chains) != 1 || !slices.Equal(e.chains[0], want) {
		t.Errorf("%v: %+v", e.t.Failure(), e.chains)
	}
	// Interrupts are held back where the driver asks for it.
	d.Set(InterruptACK, 3)
	r.NoInterrupt(true)
	r.Send(want[0])
	if line.High {
		t.Error("an interrupt that the driver didn't want")
	}
}

func TestDriversThatBreakARuleNeedAReset(t *testing.T) {
	const size = 8
	loop := func(d *Driver, r *Ring) {
		d.Descriptor(r.At, 0, 0, 1, 1, 1)
		d.Descriptor(r.At, 1, 0, 1, 1, 0)
		r.Offer(0)
	}
	for _, c := range []struct {
		name string
		do   func(d *Driver, r *Ring)
		want string
	}{
		{"a loop", loop, "a chain has more than 8 descriptors, or is a loop"},
		{"more available than there can be", func(d *Driver, r *Ring) { r.Claim(9) }, "9 chains are available in a queue of 8"},
		{"a head outside", func(d *Driver, r *Ring) { r.Offer(8) }, "chain 8 in a queue of 8"},
		{"a next outside", func(d *Driver, r *Ring) { d.Descriptor(r.At, 0, 0, 1, 1, 8); r.Offer(0) }, "descriptor 8 in a table of 8"},
		{"read after write", func(d *Driver, r *Ring) {
			r.Offer(r.Chain(virtio.Buffer{Write: true, Len: 1}, virtio.Buffer{Len: 1}))
		}, "a buffer to read follows one to write"},
		{"an indirect table that goes on", func(d *Driver, r *Ring) { d.Descriptor(r.At, 0, 0x8000, 16, 5, 1); r.Offer(0) }, "within a chain's middle"},
		{"an indirect table in one", func(d *Driver, r *Ring) {
			d.Descriptor(r.At, 0, 0x8000, 16, 4, 0)
			d.Descriptor(0x8000, 0, 0x8000, 16, 4, 0)
			r.Offer(0)
		}, "or another table"},
		{"an indirect table of an odd size", func(d *Driver, r *Ring) { d.Descriptor(r.At, 0, 0x8000, 17, 4, 0); r.Offer(0) }, "an indirect table of 17 bytes"},
		{"an empty one", func(d *Driver, r *Ring) { d.Descriptor(r.At, 0, 0x8000, 0, 4, 0); r.Offer(0) }, "an indirect table of 0 bytes"},
		{"a large one", func(d *Driver, r *Ring) { d.Descriptor(r.At, 0, 0x8000, 9*16, 4, 0); r.Offer(0) }, "an indirect table of 144 bytes in a queue of 8"},
		{"one outside RAM", func(d *Driver, r *Ring) { d.Descriptor(r.At, 0, 1<<20-15, 16, 4, 0); r.Offer(0) }, "not all in guest RAM"},
		{"one that wraps", func(d *Driver, r *Ring) { d.Descriptor(r.At, 0, ^uint64(0)-7, 16, 4, 0); r.Offer(0) }, "wrap around"},
		{"one that leaves its table", func(d *Driver, r *Ring) {
			d.Descriptor(r.At, 0, 0x8000, 16, 4, 0)
			d.Descriptor(0x8000, 0, 0, 1, 1, 1)
			r.Offer(0)
		}, "descriptor 1 in a table of 1"},
	} {
		e, d, line := newEcho(t)
		d.Negotiate(version1 | virtio.FeatureIndirect)
		r := d.Ring(0, size, 0x1000)
		d.OK()
		c.do(d, r)
		r.Kick()
		if err := e.t.Failure(); !d.Broken() || err == nil || !strings.Contains(err.Error(), c.want) || !line.High || d.Get(InterruptStatus)&2 == 0 {
			t.Errorf("%s: %v, want %s (status %#x)", c.name, err, c.want, d.Get(Status))
		}
		before := len(e.chains)
		r.Kick()
		if len(e.chains) != before {
			t.Errorf("%s: it goes on", c.name)
		}
		// After a reset all is well again.
		d.Negotiate(version1)
		r = d.Ring(0, size, 0x10000)
		d.OK()
		r.Send(virtio.Buffer{Len: 1})
		if d.Broken() || e.t.Failure() != nil || len(e.chains) != before+1 {
			t.Errorf("%s: not usable after a reset: %v", c.name, e.t.Failure())
		}
	}
	e, d, _ := newEcho(t)
	d.Negotiate(version1) // no indirect tables
	r := d.Ring(0, size, 0x1000)
	d.OK()
	d.Descriptor(r.At, 0, 0x8000, 16, 4, 0)
	r.Offer(0)
	r.Kick()
	if err := e.t.Failure(); err == nil || !strings.Contains(err.Error(), "without the feature") {
		t.Errorf("%v", err)
	}
}

func TestQueuesThatCannotBeAreRefused(t *testing.T) {
	for _, c := range []struct {
		size              uint32
		desc, avail, used uint64
	}{
		{0, 0x1000, 0x2000, 0x3000}, {3, 0x1000, 0x2000, 0x3000}, {16, 0x1000, 0x2000, 0x3000}, {1<<16 + 8, 0x1000, 0x2000, 0x3000}, {^uint32(0), 0x1000, 0x2000, 0x3000},
		{8, 0x1008, 0x2000, 0x3000}, {8, 0x1000, 0x2001, 0x3000}, {8, 0x1000, 0x2000, 0x3002},
		{8, 1<<20 - 112, 0x2000, 0x3000}, {8, 0x1000, 1<<20 - 18, 0x3000}, {8, 0x1000, 0x2000, 1<<20 - 64}, {8, ^uint64(15), 0x2000, 0x3000}, {8, 0x1000, 1 << 63, 0x3000},
	} {
		_, d, _ := newEcho(t)
		d.Negotiate(version1)
		d.Set(QueueSel, 0)
		d.Set(QueueSize, c.size)
		for reg, v := range map[uint64]uint64{QueueDesc: c.desc, QueueDriver: c.avail, QueueDev: c.used} {
			d.Set(reg, uint32(v))
			d.Set(reg+4, uint32(v>>32))
		}
		d.Set(QueueReady, 1)
		if d.Get(QueueReady) != 0 || !d.Broken() {
			t.Errorf("%+v: ready %d, status %#x", c, d.Get(QueueReady), d.Get(Status))
		}
	}
	e := &echo{}
	e.t = virtio.NewMMIO(e, &Line{})
	d := &Driver{TB: t, Dev: e.t, Mem: Memory(t, 1<<20)}
	d.Negotiate(version1)
	d.Ring(0, 8, 0x1000)
	if !d.Broken() {
		t.Error("a queue without guest memory is ready")
	}
}

func TestAccessesAllocateNothing(t *testing.T) {
	e, d, _ := newEcho(t)
	d.Negotiate(version1)
	r := d.Ring(0, 8, 0x1000)
	d.OK()
	e.chains = make([][]virtio.Buffer, 0, 10_000)
	h := r.Chain(virtio.Buffer{Addr: 0x8000, Len: 5}, virtio.Buffer{Addr: 0x9000, Len: 5, Write: true})
	got := testing.AllocsPerRun(1000, func() {
		r.Offer(h)
		r.Kick()
		d.Get(Status)
	})
	if got > 1 { // the test's own clone
		t.Errorf("%v allocations", got)
	}
}

// FuzzMMIO promises that no sequence of accesses to the registers, over any memory, makes the transport or a queue panic,
// loop, or give a device more than a queue's size in a chain. Each 7 bytes are an access.
func FuzzMMIO(f *testing.F) {
	seed := []byte{}
	for _, w := range []struct {
		reg uint16
		v   uint32
	}{{Status, 1}, {Status, 3}, {DriverFeaturesSel, 1}, {DriverFeatures, 1}, {DriverFeaturesSel, 0}, {DriverFeatures, 1 << 28}, {Status, 11}, {QueueSel, 2}, {QueueSize, 8},
		{QueueDesc, 0x1000}, {QueueDriver, 0x100}, {QueueDev, 0x200}, {QueueReady, 1}, {Status, 15}, {QueueNotify, 2}} {
		seed = append(seed, byte(w.reg), byte(w.reg>>8), 4, byte(w.v), byte(w.v>>8), byte(w.v>>16), byte(w.v>>24))
	}
	f.Add(seed, []byte{0, 0, 1})
	f.Add(seed, make([]byte, 0x200))
	f.Fuzz(func(t *testing.T, script, memory []byte) {
		e, d, _ := newEcho(t)
		if len(script) > 1<<12 || len(memory) > 1<<14 {
			return
		}
		d.Mem.WriteAt(memory, 0x100)
		d.Mem.WriteAt(memory, 0x1000)
		for ; len(script) >= 7; script = script[7:] {
			reg := uint64(script[0]) | uint64(script[1])<<8
			size, write := int(script[2]&15), script[2]&16 == 0
			v := uint64(script[3]) | uint64(script[4])<<8 | uint64(script[5])<<16 | uint64(script[6])<<24
			if write {
				d.Dev.Write(reg%virtio.Size, size, v)
			} else {
				d.Dev.Read(reg%virtio.Size, size)
			}
		}
		for _, c := range e.chains {
			if len(c) == 0 || len(c) > 128 {
				t.Errorf("a chain of %d", len(c))
			}
		}
		if e.t.Failure() != nil && !d.Broken() {
			t.Error(fmt.Sprint("failed, but needs no reset: ", e.t.Failure()))
		}
	})
}
