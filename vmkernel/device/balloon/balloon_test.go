package balloon

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"

	"keel/vmkernel/device/virtio"
	"keel/vmkernel/device/virtio/virtiotest"
)

// host records what it is given, as "release 0x1000+0x2000".
type host struct {
	log  []string
	owes bool
}

func (h *host) Release(gpa, n uint64) { h.log = append(h.log, fmt.Sprintf("release %#x+%#x", gpa, n)) }
func (h *host) Settle() bool          { return !h.owes }
func (h *host) Claim(gpa, n uint64)   { h.log = append(h.log, fmt.Sprintf("claim %#x+%#x", gpa, n)) }

func (h *host) take() (s string) {
	s, h.log = strings.Join(h.log, ", "), nil
	return s
}

const ram = 16 << 20

func newBalloon(tb testing.TB) (*Device, *host, *virtiotest.Driver, *virtiotest.Line) {
	h, line := &host{}, &virtiotest.Line{}
	d, t := New(h, line)
	mem := virtiotest.Memory(tb, ram)
	t.SetMemory(mem)
	return d, h, &virtiotest.Driver{TB: tb, Dev: t, Mem: mem}, line
}

const all = virtio.FeatureVersion1 | virtio.FeatureIndirect | featureMustTellHost | featureStats | featureDeflateOnOOM | featureReporting

// start negotiates features and makes queues with the numbers from 0 on ready.
func start(t testing.TB, d *virtiotest.Driver, features uint64, queues int) (rings []*virtiotest.Ring) {
	t.Helper()
	if !d.Negotiate(features) {
		t.Fatalf("features %#x are not taken", features)
	}
	for i := range queues {
		rings = append(rings, d.Ring(uint32(i), queueSize, 0x10000+uint64(i)<<14))
	}
	d.OK()
	return rings
}

// put writes page numbers at 0x8000 and returns the buffer.
func put(t testing.TB, d *virtiotest.Driver, pages ...uint32) virtio.Buffer {
	t.Helper()
	var b []byte
	for _, p := range pages {
		b = binary.LittleEndian.AppendUint32(b, p)
	}
	if err := d.Mem.WriteAt(b, 0x8000); err != nil {
		t.Fatal(err)
	}
	return virtio.Buffer{Addr: 0x8000, Len: uint32(len(b))}
}

func TestPagesAreGivenBackInRanges(t *testing.T) {
	b, h, d, line := newBalloon(t)
	if got := d.Offered(); got != all {
		t.Errorf("features %#x, want %#x", got, uint64(all))
	}
	if d.Get(8) != 5 {
		t.Error("it is no balloon")
	}
	rings := start(t, d, all, 4)
	rings[0].Send(put(t, d, 300, 302, 301, 300, 7, 4095))
	if got, want := h.take(), "release 0x7000+0x1000, release 0x12c000+0x3000, release 0xfff000+0x1000"; got != want {
		t.Errorf("inflated: %s\nwant %s", got, want)
	}
	if len(rings[0].Used()) != 1 || !line.High {
		t.Error("the driver isn't told")
	}
	rings[1].Send(put(t, d, 301, 302))
	if got, want := h.take(), "claim 0x12d000+0x2000"; got != want {
		t.Errorf("deflated: %s\nwant %s", got, want)
	}
	d.Dev.Write(virtiotest.Config+4, 4, 123)
	if s := b.State(); s.Actual != 123 || !s.Running || s.Released != 5*PageSize || s.Failure != nil {
		t.Errorf("%+v", s)
	}
	rings[0].Send() // no numbers at all: fine
	if d.Broken() {
		t.Error(b.State().Failure)
	}
}

// TestNothingIsReadForAGuestThatOwesMemory: what stands in the queues waits until it has paid, and is dealt with then.
func TestNothingIsReadForAGuestThatOwesMemory(t *testing.T) {
	b, h, d, line := newBalloon(t)
	rings := start(t, d, all, 4)
	h.owes = true
	for i := range uint32(3) {
		rings[0].Offer(rings[0].Chain(put(t, d, 300+i)))
	}
	rings[0].Kick()
	if got := h.take(); got != "" || line.High {
		t.Errorf("it owes memory, and the device did %s", got)
	}
	b.GoOn()
	if got := h.take(); got != "" {
		t.Errorf("it still owes memory, and the device did %s", got)
	}
	h.owes = false
	b.GoOn()
	if got, want := h.take(), "release 0x12e000+0x1000, release 0x12e000+0x1000, release 0x12e000+0x1000"; got != want || len(rings[0].Used()) != 3 || !line.High {
		t.Errorf("%s, want %s", got, want)
	}
	b.GoOn()
	if got := h.take(); got != "" {
		t.Errorf("there was nothing left, and the device did %s", got)
	}
}

// owing says that the guest owes memory once the first chain is dealt with.
type owing struct{ host }

func (h *owing) Settle() bool { return len(h.log) == 0 }

func TestAGuestThatComesToOweMemoryIsStoppedAfterTheChain(t *testing.T) {
	h := &owing{}
	b, transport := New(h, &virtiotest.Line{})
	d := &virtiotest.Driver{TB: t, Dev: transport, Mem: virtiotest.Memory(t, ram)}
	transport.SetMemory(d.Mem)
	rings := start(t, d, all, 4)
	for range 3 {
		rings[0].Offer(rings[0].Chain(put(t, d, 7)))
	}
	rings[0].Kick()
	for n := 1; n <= 3; n++ {
		if len(h.log) != 1 || len(rings[0].Used()) != 1 {
			t.Errorf("chain %d: %d were dealt with", n, len(h.log))
		}
		h.log = nil
		b.GoOn()
	}
}

func TestTargetIsToldToTheDriver(t *testing.T) {
	b, _, d, line := newBalloon(t)
	b.SetTarget(5) // nobody listens yet
	if line.High {
		t.Error("an interrupt without a driver")
	}
	start(t, d, all, 2)
	if got := d.Get(virtiotest.Config); got != 5 {
		t.Errorf("num_pages = %d", got)
	}
	b.SetTarget(5)
	if line.High {
		t.Error("an interrupt for nothing")
	}
	b.SetTarget(70_000)
	if !line.High || d.Get(virtiotest.InterruptStatus) != 2 || d.Get(virtiotest.Config) != 70_000 {
		t.Error("the driver isn't told")
	}
	d.Set(virtiotest.Config, 1) // not its field
	d.Dev.Write(virtiotest.Config+4, 2, 1)
	d.Dev.Write(virtiotest.Config+8, 4, 1)
	if s := b.State(); s.Target != 70_000 || s.Actual != 0 {
		t.Errorf("%+v", s)
	}
	for _, access := range []struct {
		off  uint64
		size int
		want uint64
	}{{0, 1, 0x70}, {1, 1, 0x11}, {2, 2, 1}, {0, 8, 70_000}, {4, 4, 0}, {8, 4, 0}, {0xE00, 8, 0}} {
		if got := d.Dev.Read(virtiotest.Config+access.off, access.size); got != access.want {
			t.Errorf("%d bytes at %d: %#x, want %#x", access.size, access.off, got, access.want)
		}
	}
}

func TestReportedPagesAreWholePagesOfRAM(t *testing.T) {
	for _, queue := range []int{3, 4} { // as Linux before 6.11 numbers it, and as the specification does
		b, h, d, _ := newBalloon(t)
		r := start(t, d, all, 5)[queue]
		r.Send(virtio.Buffer{Addr: 2 << 20, Len: 4 << 20, Write: true}, virtio.Buffer{Addr: 0xA00001, Len: 0x2FFF, Write: true}, virtio.Buffer{Addr: 0xA00001, Len: 0x1FFE, Write: true}, virtio.Buffer{Addr: 0xB00000, Len: 0, Write: true})
		if got, want := h.take(), "release 0x200000+0x400000, release 0xa01000+0x2000"; got != want {
			t.Errorf("queue %d: reported: %s\nwant %s", queue, got, want)
		}
		if s := b.State(); s.Reported != 4<<20+0x2000 || len(r.Used()) != 1 {
			t.Errorf("queue %d: %+v", queue, s)
		}
	}
	_, h, d, _ := newBalloon(t)
	start(t, d, virtio.FeatureVersion1|featureReporting, 3)[2].Send(virtio.Buffer{Addr: 0, Len: 4096, Write: true})
	if got := h.take(); got != "release 0x0+0x1000" {
		t.Errorf("without statistics: %q", got)
	}
	_, h, d, _ = newBalloon(t)
	start(t, d, virtio.FeatureVersion1, 5)[4].Send(virtio.Buffer{Addr: 0, Len: 4096, Write: true})
	if got := h.take(); got != "" {
		t.Errorf("without the feature: %q", got)
	}
}

func TestStatisticsComeWhenAskedFor(t *testing.T) {
	b, _, d, line := newBalloon(t)
	if b.AskStats() {
		t.Error("nobody is there to ask")
	}
	r := start(t, d, all, 4)[2]
	if b.AskStats() {
		t.Error("the guest has left no buffer")
	}
	say := func(values ...uint64) virtio.Buffer {
		var raw []byte
		for i := 0; i < len(values); i += 2 {
			raw = binary.LittleEndian.AppendUint16(raw, uint16(values[i]))
			raw = binary.LittleEndian.AppendUint64(raw, values[i+1])
		}
		if err := d.Mem.WriteAt(raw, 0x8000); err != nil {
			t.Fatal(err)
		}
		return virtio.Buffer{Addr: 0x8000, Len: uint32(len(raw))}
	}
	r.Send(say(4, 1<<20, 5, 16<<20, 99, 1, 6, 3<<20, 2, 17))
	want := Stats{MajorFaults: 17, Free: 1 << 20, Total: 16 << 20, Available: 3 << 20, Known: 1<<2 | 1<<4 | 1<<5 | 1<<6, Serial: 1}
	if s := b.State().Stats; s != want || line.High || len(r.Used()) != 0 {
		t.Errorf("%+v, want %+v", s, want)
	}
	if !b.AskStats() || !line.High || len(r.Used()) != 1 {
		t.Error("the guest isn't asked")
	}
	if b.AskStats() {
		t.Error("it is asked twice")
	}
	r.Send(say(4, 5))
	if s := b.State().Stats; s != (Stats{Free: 5, Known: 1 << 4, Serial: 2}) {
		t.Errorf("%+v", s)
	}
	d.Set(virtiotest.QueueSel, 2)
	d.Set(virtiotest.QueueReady, 0)
	if b.AskStats() {
		t.Error("a queue that isn't ready is used")
	}
	d.Set(virtiotest.Status, 0)
	if b.AskStats() || b.State().Running {
		t.Error("after a reset there is somebody to ask")
	}
}

func TestDriversThatBreakARuleGiveNothingBack(t *testing.T) {
	big := make([]uint32, MaxPages+1)
	for _, c := range []struct {
		name  string
		queue int
		chain func(d *virtiotest.Driver) []virtio.Buffer
		want  string
	}{
		{"a page outside RAM", 0, func(d *virtiotest.Driver) []virtio.Buffer { return []virtio.Buffer{put(t, d, ram/PageSize)} }, "not all in guest RAM"},
		{"the last page number", 0, func(d *virtiotest.Driver) []virtio.Buffer { return []virtio.Buffer{put(t, d, ^uint32(0))} }, "not all in guest RAM"},
		{"claims a page outside RAM", 1, func(d *virtiotest.Driver) []virtio.Buffer { return []virtio.Buffer{put(t, d, ^uint32(0))} }, "not all in guest RAM"},
		{"too many", 0, func(d *virtiotest.Driver) []virtio.Buffer { return []virtio.Buffer{put(t, d, big...)} }, "more than 4096 bytes"},
		{"4 GiB of them", 0, func(d *virtiotest.Driver) []virtio.Buffer { return []virtio.Buffer{{Len: ^uint32(0)}} }, "more than 4096 bytes"},
		{"a part of one", 0, func(d *virtiotest.Driver) []virtio.Buffer { return []virtio.Buffer{{Len: 6}} }, "6 bytes are no page numbers"},
		{"numbers outside RAM", 0, func(d *virtiotest.Driver) []virtio.Buffer { return []virtio.Buffer{{Addr: ram, Len: 4}} }, "not all in guest RAM"},
		{"to write", 0, func(d *virtiotest.Driver) []virtio.Buffer { return []virtio.Buffer{{Len: 4, Write: true}} }, "nothing to write"},
		{"reports what it reads", 3, func(d *virtiotest.Driver) []virtio.Buffer { return []virtio.Buffer{{Len: 4096}} }, "must not write"},
		{"reports outside RAM", 3, func(d *virtiotest.Driver) []virtio.Buffer {
			return []virtio.Buffer{{Addr: ram - 4096, Len: 8192, Write: true}}
		}, "not all in guest RAM"},
		{"reports around the end", 3, func(d *virtiotest.Driver) []virtio.Buffer {
			return []virtio.Buffer{{Addr: ^uint64(0) - 4095, Len: 8192, Write: true}}
		}, "wrap around"},
		{"statistics twice", 2, func(d *virtiotest.Driver) []virtio.Buffer { return []virtio.Buffer{{Len: 10}} }, "a second buffer for statistics"},
		{"large statistics", 2, func(d *virtiotest.Driver) []virtio.Buffer { return []virtio.Buffer{{Len: 1000}} }, "more than 640 bytes"},
	} {
		b, h, d, _ := newBalloon(t)
		rings := start(t, d, all, 4)
		rings[2].Send(virtio.Buffer{Len: 10})
		rings[c.queue].Send(c.chain(d)...)
		if err := b.State().Failure; err == nil || !strings.Contains(err.Error(), c.want) || !d.Broken() {
			t.Errorf("%s: %v, want %s", c.name, err, c.want)
		}
		if got := h.take(); got != "" {
			t.Errorf("%s: the host was given %s", c.name, got)
		}
		if b.State().Running {
			t.Errorf("%s: it seems to run", c.name)
		}
	}
}

func TestNotificationsAllocateNothing(t *testing.T) {
	_, h, d, _ := newBalloon(t)
	r := start(t, d, all, 4)[0]
	pages := make([]uint32, 256)
	for i := range pages {
		pages[i] = uint32(i*2 + 100)
	}
	head := r.Chain(put(t, d, pages...))
	*h = host{}
	quiet := &countingHost{}
	_, transport := New(quiet, &virtiotest.Line{})
	transport.SetMemory(d.Mem)
	d.Dev = transport
	r = start(t, d, all, 4)[0]
	if got := testing.AllocsPerRun(100, func() {
		r.Offer(head)
		r.Kick()
	}); got != 0 {
		t.Errorf("%v allocations", got)
	}
	if quiet.n == 0 {
		t.Error("nothing was released")
	}
}

type countingHost struct{ n uint64 }

func (h *countingHost) Release(gpa, n uint64) { h.n += n }
func (h *countingHost) Settle() bool          { return true }
func (h *countingHost) Claim(gpa, n uint64)   { h.n += n }

// checkedHost fails if it is given what isn't whole pages of RAM.
type checkedHost struct{ t *testing.T }

func (h checkedHost) Release(gpa, n uint64) {
	if n == 0 || gpa%PageSize != 0 || n%PageSize != 0 || gpa >= ram || n > ram-gpa {
		h.t.Errorf("given %#x bytes at %#x", n, gpa)
	}
}
func (h checkedHost) Settle() bool        { return true }
func (h checkedHost) Claim(gpa, n uint64) { h.Release(gpa, n) }

// FuzzBalloon promises that whatever stands in the queues and in the memory that they point to, the host is given nothing
// but whole pages of the guest's RAM. data is the page that holds the descriptors and what they point to; each byte of
// order offers a chain on a queue.
func FuzzBalloon(f *testing.F) {
	desc := func(addr uint64, n uint32, flags, next uint16) []byte {
		b := binary.LittleEndian.AppendUint64(nil, addr)
		b = binary.LittleEndian.AppendUint32(b, n)
		return binary.LittleEndian.AppendUint16(binary.LittleEndian.AppendUint16(b, flags), next)
	}
	f.Add(slices.Concat(desc(0x10040, 8, 0, 0), desc(0x200000, 0x200000, 2, 0), desc(0x10040, 40, 0, 0), desc(0x10000, 16, 4, 0), []byte{1, 2, 3, 4, 2, 2, 3, 4}), []byte{0, 1, 11, 10, 24})
	f.Fuzz(func(t *testing.T, data, order []byte) {
		if len(data) > 4096 || len(order) > 64 {
			return
		}
		b, transport := New(checkedHost{t}, &virtiotest.Line{})
		d := &virtiotest.Driver{TB: t, Dev: transport, Mem: virtiotest.Memory(t, ram)}
		transport.SetMemory(d.Mem)
		rings := start(t, d, all, 5)
		for _, r := range rings {
			d.Mem.WriteAt(data, r.At)
		}
		for _, o := range order {
			r := rings[int(o%8)%len(rings)]
			r.Offer(uint16(o / 8))
			r.Kick()
			if o == 255 {
				b.AskStats()
			}
		}
		b.SetTarget(uint32(len(order)))
		b.State()
	})
}
