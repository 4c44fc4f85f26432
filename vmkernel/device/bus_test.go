package device

import (
	"fmt"
	"strings"
	"testing"
)

// recorder answers with the bytes of reply and writes down each access.
type recorder struct {
	name  string
	log   *[]string
	reply uint64
}

func (r recorder) In(port uint16, size int) uint32 {
	*r.log = append(*r.log, fmt.Sprintf("%s in %d/%d", r.name, port, size))
	return uint32(r.reply)
}

func (r recorder) Out(port uint16, size int, v uint32) {
	*r.log = append(*r.log, fmt.Sprintf("%s out %d/%d %x", r.name, port, size, v))
}

func (r recorder) Read(addr uint64, size int) uint64 {
	*r.log = append(*r.log, fmt.Sprintf("%s read %d/%d", r.name, addr, size))
	return r.reply
}

func (r recorder) Write(addr uint64, size int, v uint64) {
	*r.log = append(*r.log, fmt.Sprintf("%s write %d/%d %x", r.name, addr, size, v))
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestPortAccessReachesItsDeviceAndSplitsWhereItStraddles(t *testing.T) {
	var log []string
	var b Bus
	must(t, b.AddPorts("a", 0x10, 4, recorder{"a", &log, 0xa3a2a1a0}))
	must(t, b.AddPorts("b", 0x14, 1, recorder{"b", &log, 0xbbbbbbbb}))
	must(t, b.AddPorts("top", 0xfffe, 2, recorder{"top", &log, 0xc1}))
	for _, tc := range []struct {
		port  uint16
		size  int
		want  uint32
		calls string
	}{
		{0x10, 1, 0xa0, "a in 0/1"},
		{0x10, 4, 0xa3a2a1a0, "a in 0/4"},
		{0x12, 2, 0xa1a0, "a in 2/2"},
		{0x13, 2, 0xbba0, "a in 3/1,b in 0/1"},
		{0x14, 4, 0xffffffbb, "b in 0/1"},
		{0x0e, 4, 0xa0a0ffff, "a in 0/1,a in 1/1"},
		{0x20, 4, 0xffffffff, ""},
		{0x20, 1, 0xff, ""},
		{0x20, 2, 0xffff, ""},
		{0xfffe, 2, 0xc1, "top in 0/2"},
		{0xffff, 2, 0xffc1, "top in 1/1"},
		{0xffff, 4, 0xffffffc1, "top in 1/1"},
		{0x10, 3, 0xffffffff, ""},
		{0x10, 0, 0xffffffff, ""},
		{0x10, -1, 0xffffffff, ""},
	} {
		log = nil
		if got := b.In(tc.port, tc.size); got != tc.want {
			t.Errorf("In(%#x, %d) = %#x, want %#x", tc.port, tc.size, got, tc.want)
		}
		if got := strings.Join(log, ","); got != tc.calls {
			t.Errorf("In(%#x, %d) called %q, want %q", tc.port, tc.size, got, tc.calls)
		}
	}

	for _, tc := range []struct {
		port  uint16
		size  int
		calls string
	}{
		{0x10, 1, "a out 0/1 44"},
		{0x10, 2, "a out 0/2 3344"},
		{0x10, 4, "a out 0/4 11223344"},
		{0x13, 4, "a out 3/1 44,b out 0/1 33"},
		{0xffff, 4, "top out 1/1 44"},
		{0x20, 4, ""},
		{0x10, 8, ""},
	} {
		log = nil
		b.Out(tc.port, tc.size, 0x11223344)
		if got := strings.Join(log, ","); got != tc.calls {
			t.Errorf("Out(%#x, %d) called %q, want %q", tc.port, tc.size, got, tc.calls)
		}
	}
}

func TestUnclaimedAccessesAreCountedOnceEach(t *testing.T) {
	var log []string
	var b Bus
	must(t, b.AddPorts("a", 0x10, 1, recorder{"a", &log, 0}))
	must(t, b.AddMMIO("m", 0x1000, 4, recorder{"m", &log, 0}))
	b.In(0x10, 1)
	b.In(0x10, 4)
	b.In(0x80, 4)
	b.Out(0x80, 1, 0)
	b.Read(0x1000, 4)
	b.Read(0x1000, 8)
	b.Read(0x9000, 8)
	b.Read(^uint64(0), 8)
	b.Write(0x9000, 1, 0)
	b.Write(0x0fff, 2, 0)
	if got, want := b.Unclaimed(), (Unclaimed{In: 2, Out: 1, Read: 3, Write: 2}); got != want {
		t.Errorf("counts %+v, want %+v", got, want)
	}
}

func TestMMIOAccessReachesItsDeviceAndSplitsWhereItStraddles(t *testing.T) {
	var log []string
	var b Bus
	must(t, b.AddMMIO("hi", 0x2000, 0x1000, recorder{"hi", &log, 0x8877665544332211}))
	must(t, b.AddMMIO("lo", 0x1ffe, 2, recorder{"lo", &log, 0xaa}))
	must(t, b.AddMMIO("top", ^uint64(0)-3, 4, recorder{"top", &log, 0xcc}))
	for _, tc := range []struct {
		addr  uint64
		size  int
		want  uint64
		calls string
	}{
		{0x2000, 8, 0x8877665544332211, "hi read 0/8"},
		{0x2010, 4, 0x44332211, "hi read 16/4"},
		{0x2ffe, 4, 0xffff1111, "hi read 4094/1,hi read 4095/1"},
		{0x1fff, 2, 0x11aa, "lo read 1/1,hi read 0/1"},
		{0x1000, 2, 0xffff, ""},
		{^uint64(0), 4, 0xffffffcc, "top read 3/1"},
		{0x2000, 9, ^uint64(0), ""},
		{0x2000, 0, ^uint64(0), ""},
	} {
		log = nil
		if got := b.Read(tc.addr, tc.size); got != tc.want {
			t.Errorf("Read(%#x, %d) = %#x, want %#x", tc.addr, tc.size, got, tc.want)
		}
		if got := strings.Join(log, ","); got != tc.calls {
			t.Errorf("Read(%#x, %d) called %q, want %q", tc.addr, tc.size, got, tc.calls)
		}
	}
	log = nil
	b.Write(0x1fff, 2, 0xbeef)
	b.Write(0x2008, 2, 0x123456)
	if got, want := strings.Join(log, ","), "lo write 1/1 ef,hi write 0/1 be,hi write 8/2 3456"; got != want {
		t.Errorf("writes called %q, want %q", got, want)
	}
}

func TestAddRefusesWhatOverlapsOrDoesNotFit(t *testing.T) {
	var b Bus
	must(t, b.AddPorts("COM1", 0x3f8, 8, Ignore{}))
	must(t, b.AddMMIO("ioapic", 0xfec00000, 0x1000, &b))
	for _, tc := range []struct {
		err  error
		want []string
	}{
		{b.AddPorts("exit", 0x3ff, 1, Ignore{}), []string{"exit", "COM1", "0x3ff", "0x3f8..0x3ff"}},
		{b.AddPorts("exit", 0x3f0, 0x100, Ignore{}), []string{"exit", "COM1"}},
		{b.AddPorts("exit", 0xffff, 2, Ignore{}), []string{"exit", "2 ports from 0xffff"}},
		{b.AddPorts("exit", 0, 0, Ignore{}), []string{"exit", "0 ports"}},
		{b.AddPorts("exit", 0, -1, Ignore{}), []string{"exit", "-1 ports"}},
		{b.AddPorts("exit", 0, 1, nil), []string{"exit", "no device"}},
		{b.AddMMIO("virtio", 0xfec00fff, 1, &b), []string{"virtio", "ioapic", "0xfec00fff"}},
		{b.AddMMIO("virtio", 0, 1<<40, &b), []string{"virtio", "ioapic"}},
		{b.AddMMIO("virtio", ^uint64(0), 2, &b), []string{"virtio", "do not fit"}},
		{b.AddMMIO("virtio", 5, 0, &b), []string{"virtio", "0x0 bytes"}},
		{b.AddMMIO("virtio", 5, 1, nil), []string{"virtio", "no device"}},
	} {
		if tc.err == nil {
			t.Errorf("no error, want one with %q", tc.want)
			continue
		}
		for _, w := range tc.want {
			if !strings.Contains(tc.err.Error(), w) {
				t.Errorf("error %q lacks %q", tc.err, w)
			}
		}
	}
	must(t, b.AddPorts("whole rest", 0x400, 0x10000-0x400, Ignore{}))
	if got, want := fmt.Sprint(b.Ports()), "[{COM1 1016 8} {whole rest 1024 64512}]"; got != want {
		t.Errorf("Ports() = %s, want %s", got, want)
	}
	if got, want := fmt.Sprint(b.MMIO()), "[{ioapic 4273995776 4096}]"; got != want {
		t.Errorf("MMIO() = %s, want %s", got, want)
	}
}

func TestPortTableFillsUpWithAnError(t *testing.T) {
	var b Bus
	for i := range maxPortRanges {
		must(t, b.AddPorts("d", uint16(i), 1, Ignore{}))
	}
	if err := b.AddPorts("one more", 0x1000, 1, Ignore{}); err == nil || !strings.Contains(err.Error(), "one more") {
		t.Errorf("range 256: error %v, want one that names it", err)
	}
}

type levels struct{ seen []bool }

func (l *levels) Set(level bool) { l.seen = append(l.seen, level) }

func TestSharedLineIsTheOrOfItsInputs(t *testing.T) {
	var out levels
	s := NewSharedLine(&out)
	a, b := s.Input(), s.Input()
	a.Set(true)
	b.Set(true)
	a.Set(false)
	a.Set(false)
	b.Set(false)
	b.Set(true)
	if got, want := fmt.Sprint(out.seen), "[true false true]"; got != want {
		t.Errorf("levels %s, want %s", got, want)
	}
}

func TestAccessesDoNotAllocate(t *testing.T) {
	var b Bus
	must(t, b.AddPorts("a", 0x10, 2, Ignore{}))
	var inner Bus
	must(t, b.AddMMIO("m", 0x1000, 0x1000, &inner))
	s := NewSharedLine(Unconnected{})
	in := s.Input()
	if n := testing.AllocsPerRun(100, func() {
		b.In(0x10, 1)
		b.In(0x11, 4)
		b.Out(0x11, 4, 1)
		b.Read(0x1000, 8)
		b.Write(0x1fff, 8, 1)
		in.Set(true)
		in.Set(false)
	}); n != 0 {
		t.Errorf("%v allocations, want none", n)
	}
}

func BenchmarkIn(b *testing.B) {
	var bus Bus
	must(b, bus.AddPorts("a", 0x10, 2, Ignore{}))
	for b.Loop() {
		bus.In(0x10, 1)
	}
}
