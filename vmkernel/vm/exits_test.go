package vm

import (
	"bytes"
	"log/slog"
	"testing"

	"keel/arch/amd64/virt"
	"keel/vmkernel/sys"
	"keel/vmkernel/vm/mmio"
)

// testInstance is an instance of size bytes that is powered on and doesn't run.
func testInstance(t *testing.T, f *fake, size uint64) *instance {
	t.Helper()
	s := spec("demo")
	s.Memory.Size = size
	host := Host{Virt: sys.VirtAMDV, TSCHz: 1_000_000_000, CPUID: func(leaf, sub uint32) (a, b, c, d uint32) { return }, memory: newMemory(f), processors: newProcessors(f)}
	in, err := powerOn(f, host, &s, store(files()), slog.New(slog.DiscardHandler), noOutlets, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.board.close(); in.destroy() })
	return in
}

// flat makes s a 32-bit state without paging, its segments of 4 GiB.
func flat(s *virt.State) {
	*s = virt.State{RFLAGS: 2, CR0: 0x11}
	for i := range s.Seg {
		s.Seg[i] = virt.Segment{Limit: 0xFFFF_FFFF, Attr: 0xC093}
	}
	s.Seg[virt.CS].Attr = 0xC09B
}

func TestStringIO(t *testing.T) {
	const port = 0x3FF // ttyS0's scratch register
	f := newFake(nil)
	in := testInstance(t, f, 4<<20)
	c := in.cpus[0]
	s := &c.page.State
	gp, ss := virt.ExceptionCode(vecGP, 0), virt.ExceptionCode(vecSS, 0)
	for _, x := range []struct {
		name    string
		set     func()
		memory  string // at 2 MiB before and after INS, or before OUTS
		want    string // at 2 MiB afterwards
		scratch uint32
		rip     uint64
		rcx     uint64
		rdi     uint64
		rsi     uint64
		event   virt.Event
	}{
		{name: "INSB", set: func() { s.Exit.In = true }, memory: "....", want: "A...", scratch: 'A', rip: 0x1002, rdi: 0x200001, rsi: 0x200000, rcx: 7},
		{name: "INSB down", set: func() { s.Exit.In = true; s.RFLAGS |= rflagsDF }, memory: "....", want: "A...", scratch: 'A', rip: 0x1002, rdi: 0x1FFFFF, rsi: 0x200000, rcx: 7},
		{name: "REP INSB", set: func() { s.Exit.In, s.Exit.Rep = true, true; s.GPR[virt.RCX] = 3 }, memory: "....", want: "AAA.", scratch: 'A', rip: 0x1002, rdi: 0x200003, rsi: 0x200000},
		{name: "REP OUTSB", set: func() { s.Exit.Rep = true; s.GPR[virt.RCX] = 3 }, memory: "xyzz", want: "xyzz", scratch: 'z', rip: 0x1002, rdi: 0x200000, rsi: 0x200003},
		{name: "REP with count 0", set: func() { s.Exit.Rep = true; s.GPR[virt.RCX] = 0 }, memory: "xyzz", want: "xyzz", scratch: 'A', rip: 0x1002, rdi: 0x200000, rsi: 0x200000},
		{name: "16-bit count and index", set: func() {
			s.Exit.Rep, s.Exit.AddrSize = true, 2
			s.GPR[virt.RCX], s.GPR[virt.RSI] = 0x10001, 0x1FFFF
			s.Seg[virt.DS].Base = 0x200000 - 0xFFFF
		}, memory: "q", want: "q", scratch: 'q', rip: 0x1002, rcx: 0x10000, rdi: 0x200000, rsi: 0x10000},
		{name: "segment override", set: func() { s.Exit.Segment = virt.FS; s.Seg[virt.FS].Base = 2 }, memory: "abc", want: "abc", scratch: 'c', rip: 0x1002, rcx: 7, rdi: 0x200000, rsi: 0x200001},
		{name: "more than one exit's worth", set: func() { s.Exit.Rep = true; s.GPR[virt.RCX] = maxElements + 5 }, memory: "xyzz", want: "xyzz", scratch: 0, rip: 0x1000, rcx: 5, rdi: 0x200000, rsi: 0x200000 + maxElements},
		{name: "single step", set: func() { s.RFLAGS |= rflagsTF }, memory: "a", want: "a", scratch: 'a', rip: 0x1002, rcx: 7, rdi: 0x200000, rsi: 0x200001, event: virt.Exception(vecDB)},
		{name: "beyond the limit", set: func() { s.Exit.In = true; s.Seg[virt.ES].Limit = 0x1FFFFF }, memory: ".", want: ".", scratch: 'A', rip: 0x1000, rcx: 7, rdi: 0x200000, rsi: 0x200000, event: gp},
		{name: "not writable", set: func() { s.Exit.In = true; s.Seg[virt.ES].Attr = 0xC091 }, memory: ".", want: ".", scratch: 'A', rip: 0x1000, rcx: 7, rdi: 0x200000, rsi: 0x200000, event: gp},
		{name: "to code", set: func() { s.Exit.In = true; s.Seg[virt.ES].Attr = 0xC09B }, memory: ".", want: ".", scratch: 'A', rip: 0x1000, rcx: 7, rdi: 0x200000, rsi: 0x200000, event: gp},
		{name: "unusable", set: func() { s.Seg[virt.DS].Attr = segUnusable }, memory: ".", want: ".", scratch: 'A', rip: 0x1000, rcx: 7, rdi: 0x200000, rsi: 0x200000, event: gp},
		{name: "stack segment", set: func() { s.Exit.Segment = virt.SS; s.Seg[virt.SS].Limit = 0 }, memory: ".", want: ".", scratch: 'A', rip: 0x1000, rcx: 7, rdi: 0x200000, rsi: 0x200000, event: ss},
		{name: "expand-down, below", set: func() { s.Seg[virt.DS].Attr |= segExpandDown; s.Seg[virt.DS].Limit = 0x200000 }, memory: ".", want: ".", scratch: 'A', rip: 0x1000, rcx: 7, rdi: 0x200000, rsi: 0x200000, event: gp},
		{name: "expand-down, within", set: func() { s.Seg[virt.DS].Attr |= segExpandDown; s.Seg[virt.DS].Limit = 0x1FFFFF }, memory: "m", want: "m", scratch: 'm', rip: 0x1002, rcx: 7, rdi: 0x200000, rsi: 0x200001},
		{name: "no RAM", set: func() { s.GPR[virt.RSI] = 0xD8000000 }, memory: ".", want: ".", scratch: 0xFF, rip: 0x1002, rcx: 7, rdi: 0x200000, rsi: 0xD8000001},
		{name: "not canonical", set: func() {
			s.EFER, s.Seg[virt.CS].Attr = 0x500, 0xA09B
			s.Exit.AddrSize = 8
			s.GPR[virt.RSI] = 1 << 47
		}, memory: ".", want: ".", scratch: 'A', rip: 0x1000, rcx: 7, rdi: 0x200000, rsi: 1 << 47, event: gp},
	} {
		t.Run(x.name, func(t *testing.T) {
			flat(s)
			copy(in.memory2(t), x.memory)
			in.board.bus.Out(port, 1, 'A')
			s.RIP = 0x1000
			s.GPR[virt.RCX], s.GPR[virt.RSI], s.GPR[virt.RDI] = 7, 0x200000, 0x200000
			s.Exit = virt.Exit{Kind: virt.KindIO, String: true, Port: port, Size: 1, AddrSize: 4, Segment: virt.DS, Len: 2}
			x.set()
			c.flags, c.event = 0, 0
			c.dispatch(s)
			if in.stopping.Load() {
				t.Fatalf("stopped: %v", in.reason)
			}
			if got := string(in.memory2(t)[:len(x.want)]); got != x.want {
				t.Errorf("memory %q, want %q", got, x.want)
			}
			if got := in.board.bus.In(port, 1); got != x.scratch {
				t.Errorf("the port's register is %#x, want %#x", got, x.scratch)
			}
			if s.RIP != x.rip || s.GPR[virt.RCX] != x.rcx || s.GPR[virt.RDI] != x.rdi || s.GPR[virt.RSI] != x.rsi {
				t.Errorf("RIP %#x RCX %#x RDI %#x RSI %#x, want %#x %#x %#x %#x",
					s.RIP, s.GPR[virt.RCX], s.GPR[virt.RDI], s.GPR[virt.RSI], x.rip, x.rcx, x.rdi, x.rsi)
			}
			if c.event != x.event || c.flags != sys.RunSetState {
				t.Errorf("event %#x, want %#x; flags %#x", c.event, x.event, c.flags)
			}
		})
	}
}

// memory2 is the guest's memory from 2 MiB on.
func (in *instance) memory2(t *testing.T) []byte {
	b, err := in.memory.Slice(0x200000, 4096)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// paged maps linear 0x400000 and the page after it, by 32-bit tables at 0x10000, to 0x200000 and,
// with second, to 0x201000.
func paged(t *testing.T, in *instance, s *virt.State, second bool) {
	t.Helper()
	flat(s)
	s.CR0, s.CR3 = 0x8000_0011, 0x10000
	entries := map[uint64]uint32{0x10000 + 4: 0x11003, 0x10000: 0x12003, 0x11000: 0x200003, 0x11004: 0, 0x12004: 0x1003}
	if second {
		entries[0x11004] = 0x201003
	}
	for gpa, e := range entries {
		if err := in.memory.Write32(gpa, e); err != nil {
			t.Fatal(err)
		}
	}
}

// What the lower half's devices don't get from it at once, they get through the Bus: string
// instructions, and accesses that are wider than their ports.
func TestPortsOfTheLowerHalf(t *testing.T) {
	f := newFake(nil)
	in := testInstance(t, f, 4<<20)
	c, m := in.cpus[0], f.machines[0]
	s := &c.page.State
	flat(s)
	s.RIP, s.GPR[virt.RCX], s.GPR[virt.RSI] = 0x1000, 3, 0x200000
	copy(in.memory2(t), "\x11\xA5\x5A")
	s.Exit = virt.Exit{Kind: virt.KindIO, String: true, Rep: true, Port: 0x21, Size: 1, AddrSize: 4, Segment: virt.DS, Len: 2}
	if c.dispatch(s); m.ports[0x21] != 0x5A || s.RIP != 0x1002 || s.GPR[virt.RCX] != 0 || s.GPR[virt.RSI] != 0x200003 {
		t.Errorf("REP OUTSB: port %#x, RIP %#x, RCX %d, RSI %#x", m.ports[0x21], s.RIP, s.GPR[virt.RCX], s.GPR[virt.RSI])
	}
	m.ports[0x40] = 0xC3
	s.RIP, s.GPR[virt.RCX], s.GPR[virt.RDI] = 0x1000, 2, 0x200000
	s.Exit = virt.Exit{Kind: virt.KindIO, In: true, String: true, Rep: true, Port: 0x40, Size: 1, AddrSize: 4, Len: 2}
	if c.dispatch(s); string(in.memory2(t)[:3]) != "\xC3\xC3\x5A" || s.RIP != 0x1002 {
		t.Errorf("REP INSB: memory % x, RIP %#x", in.memory2(t)[:3], s.RIP)
	}
	m.ports[0x608] = 0x12345678
	for _, x := range []struct {
		port uint16
		size uint8
		want uint64
	}{{0x40, 2, 0xC3}, {0x20, 4, 0xFFFF_5A00}, {0x60, 2, 0}, {0x61, 2, 0xFF00}, {0x608, 4, 0x12345678}} {
		s.GPR[virt.RAX] = 0
		s.Exit = virt.Exit{Kind: virt.KindIO, In: true, Port: x.port, Size: x.size, Len: 2}
		if c.dispatch(s); s.GPR[virt.RAX] != x.want {
			t.Errorf("IN of %d bytes from %#x: %#x, want %#x", x.size, x.port, s.GPR[virt.RAX], x.want)
		}
	}
	s.GPR[virt.RAX] = 0x2211
	s.Exit = virt.Exit{Kind: virt.KindIO, Port: 0x4D0, Size: 2, Len: 2}
	if c.dispatch(s); m.ports[0x4D0] != 0x11 || m.ports[0x4D1] != 0x22 {
		t.Errorf("OUT of 2 bytes to 4D0H: %#x and %#x", m.ports[0x4D0], m.ports[0x4D1])
	}
}

func TestStringIOAcrossPages(t *testing.T) {
	const port = 0x3F8 + 7
	in := testInstance(t, newFake(nil), 4<<20)
	c := in.cpus[0]
	s := &c.page.State
	for _, second := range []bool{true, false} {
		paged(t, in, s, second)
		in.board.bus.Out(port, 1, 0x5A)
		s.RIP = 0x1000
		s.GPR[virt.RDI] = 0x400FFF
		s.Exit = virt.Exit{Kind: virt.KindIO, String: true, In: true, Port: port, Size: 2, AddrSize: 4, Len: 2}
		in.memory.Write16(0x200FFF, 0)
		c.dispatch(s)
		v, _ := in.memory.Read16(0x200FFF)
		if second && (v != 0xFF5A || s.RIP != 0x1002 || c.event != 0) {
			t.Errorf("mapped: %#x, RIP %#x, event %#x", v, s.RIP, c.event)
		}
		if !second && (v != 0 || s.RIP != 0x1000 || s.CR2 != 0x401000 || c.event != virt.ExceptionCode(vecPF, 2)) {
			t.Errorf("not mapped: %#x, RIP %#x, CR2 %#x, event %#x", v, s.RIP, s.CR2, c.event)
		}
	}
}

func TestStringIOThatCannotBeIsACrash(t *testing.T) {
	for _, e := range []virt.Exit{
		{AddrSize: 0, Size: 1, Len: 1}, {AddrSize: 3, Size: 1, Len: 1}, {AddrSize: 4, Size: 8, Len: 1},
		{AddrSize: 4, Size: 0, Len: 1}, {AddrSize: 4, Size: 1, Len: 0}, {AddrSize: 4, Size: 1, Len: 16},
	} {
		in := testInstance(t, newFake(nil), 4<<20)
		s := &in.cpus[0].page.State
		flat(s)
		e.Kind, e.String = virt.KindIO, true
		s.Exit = e
		in.cpus[0].dispatch(s)
		if !in.stopping.Load() || in.reason.Cause != Crash {
			t.Errorf("%+v: %v", e, in.reason)
		}
	}
}

// The instruction at RIP has nothing to do with an access that the delivery of an event makes.
func TestDeliveryThroughDevicesIsACrash(t *testing.T) {
	f := newFake(nil)
	in := testInstance(t, f, 4<<20)
	s := &in.cpus[0].page.State
	flat(s)
	s.RIP = 0x200000
	copy(in.memory2(t), "\x89\x18") // MOV [RAX], EBX
	s.GPR[virt.RAX], s.GPR[virt.RBX] = 0xFEC00010, 0xB0B
	s.Exit = virt.Exit{Kind: virt.KindDelivery, GPA: 0xFEC00010, Write: true, Vector: 14}
	in.cpus[0].dispatch(s)
	const want = "the delivery of vector 14 accessed 0xfec00010, where there is no RAM, with the guest at 0x200000"
	if !in.stopping.Load() || in.reason.Cause != Crash || in.reason.Text != want || len(f.machines[0].registers) != 0 {
		t.Errorf("%v, registers %v", in.reason, f.machines[0].registers)
	}
}

func TestMMIO(t *testing.T) {
	for _, x := range []struct {
		name  string
		code  string
		gpa   uint64
		set   func(s *virt.State)
		check func(s *virt.State, m *fakeMachine) bool
		flags uint64
		event virt.Event
	}{
		{"store to the I/O APIC", "\x89\x18", 0xFEC00010, nil,
			func(s *virt.State, m *fakeMachine) bool { return m.registers[0xFEC00010] == 0xB0B && s.RIP == 0x200002 }, sys.RunSetRIP, 0},
		{"load from the local APIC", "\x8b\x18", 0xFEE00030, nil,
			func(s *virt.State, m *fakeMachine) bool { return s.GPR[virt.RBX] == 0x50014 }, sys.RunSetRIP, 0},
		{"byte within a register", "\x8a\x18", 0xFEE00032, nil,
			func(s *virt.State, m *fakeMachine) bool { return s.GPR[virt.RBX] == 0xB05 }, sys.RunSetRIP, 0},
		{"byte write is ignored", "\x88\x18", 0xFEE00030, nil,
			func(s *virt.State, m *fakeMachine) bool { return m.registers[0xFEE00030] == 0x50014 }, sys.RunSetRIP, 0},
		{"nobody's address", "\x8b\x18", 0xD8000000, nil,
			func(s *virt.State, m *fakeMachine) bool { return s.GPR[virt.RBX] == 0xFFFF_FFFF }, sys.RunSetRIP, 0},
		{"flags", "\x3b\x18", 0xFEE00030, func(s *virt.State) { s.GPR[virt.RBX] = 0x50014 },
			func(s *virt.State, m *fakeMachine) bool { return s.RFLAGS&0x40 != 0 }, sys.RunSetState, 0},
		{"stack pointer", "\x8b\x20", 0xFEE00030, nil,
			func(s *virt.State, m *fakeMachine) bool { return s.GPR[virt.RSP] == 0x50014 }, sys.RunSetState, 0},
		{"RF without breakpoints", "\x8b\x18", 0xFEE00030, func(s *virt.State) { s.RFLAGS |= rflagsRF },
			func(s *virt.State, m *fakeMachine) bool { return s.RIP == 0x200002 }, sys.RunSetRIP, 0},
		{"RF with breakpoints", "\x8b\x18", 0xFEE00030, func(s *virt.State) { s.RFLAGS |= rflagsRF; s.DR7 = 3 },
			func(s *virt.State, m *fakeMachine) bool { return s.RFLAGS&rflagsRF == 0 }, sys.RunSetState, 0},
		{"shadow of STI", "\x8b\x18", 0xFEE00030, func(s *virt.State) { s.Interruptibility = 1 | 8 },
			func(s *virt.State, m *fakeMachine) bool { return s.Interruptibility == 8 }, sys.RunSetState, 0},
		{"single step", "\x8b\x18", 0xFEE00030, func(s *virt.State) { s.RFLAGS |= rflagsTF },
			func(s *virt.State, m *fakeMachine) bool { return s.DR6&dr6BS != 0 }, sys.RunSetState, virt.Exception(vecDB)},
		{"one iteration of REP STOSD", "\xf3\xab", 0xFEC00000, func(s *virt.State) {
			s.GPR[virt.RDI], s.GPR[virt.RCX] = 0xFEC00000, 2
			s.RFLAGS |= rflagsTF
		}, func(s *virt.State, m *fakeMachine) bool {
			return s.RIP == 0x200000 && s.GPR[virt.RCX] == 1 && s.GPR[virt.RDI] == 0xFEC00004
		}, sys.RunSetRIP, 0},
	} {
		t.Run(x.name, func(t *testing.T) {
			f := newFake(nil)
			in := testInstance(t, f, 4<<20)
			m := f.machines[0]
			m.registers[0xFEE00030] = 0x50014
			c := in.cpus[0]
			s := &c.page.State
			flat(s)
			s.RIP, s.GPR[virt.RAX], s.GPR[virt.RBX] = 0x200000, x.gpa, 0xB0B
			copy(in.memory2(t), x.code)
			s.Exit = virt.Exit{Kind: virt.KindMMIO, GPA: x.gpa}
			if x.set != nil {
				x.set(s)
			}
			c.flags, c.event = 0, 0
			c.dispatch(s)
			if in.stopping.Load() {
				t.Fatalf("stopped: %v", in.reason)
			}
			if !x.check(s, m) {
				t.Errorf("state %+v\nregisters %x", s, m.registers)
			}
			if c.flags != x.flags || c.event != x.event {
				t.Errorf("flags %#x, want %#x; event %#x, want %#x", c.flags, x.flags, c.event, x.event)
			}
		})
	}
}

func TestMMIOPageFaultGoesToTheGuest(t *testing.T) {
	in := testInstance(t, newFake(nil), 4<<20)
	c := in.cpus[0]
	s := &c.page.State
	paged(t, in, s, false)
	s.RIP = 0x401000 // not mapped: the guest changed its tables meanwhile
	s.Exit = virt.Exit{Kind: virt.KindMMIO, GPA: 0xFEE00000}
	c.dispatch(s)
	if in.stopping.Load() || s.CR2 != 0x401000 || c.event.Vector() != vecPF || c.flags != sys.RunSetState {
		t.Errorf("CR2 %#x, event %#x, flags %#x, reason %v", s.CR2, c.event, c.flags, in.reason)
	}
}

func TestPrivilegeIsOfTheStackSegment(t *testing.T) {
	in := testInstance(t, newFake(nil), 4<<20)
	c := in.cpus[0]
	s := &c.page.State
	for _, x := range []struct {
		cr0, rflags, efer uint64
		ss, cs            uint32
		cpl               uint8
		mode              mmio.Mode
	}{
		{0x10, 2, 0, 0xF3, 0x9B, 0, mmio.Mode16},
		{0x11, 2 | rflagsVM, 0, 0xF3, 0xFB, 3, mmio.Mode16},
		{0x11, 2, 0, 0xC0F3, 0xC0FB, 3, mmio.Mode32},
		{0x11, 2, 0, 0xC093, 0xC09B, 0, mmio.Mode32},
		{0x80000011, 2, 0x500, 0xC093, 0xA09B, 0, mmio.Mode64},
		{0x80000011, 2, 0x500, 0xC0F3, 0xC0FB, 3, mmio.Mode32},
	} {
		flat(s)
		s.CR0, s.RFLAGS, s.EFER = x.cr0, x.rflags, x.efer
		s.Seg[virt.SS].Attr, s.Seg[virt.CS].Attr = x.ss, x.cs
		if p := c.describe(s); p.CPL != x.cpl || p.Mode != x.mode {
			t.Errorf("%+v: CPL %d, mode %d", x, p.CPL, p.Mode)
		}
	}
}

func TestExitsAllocateNothing(t *testing.T) {
	in := testInstance(t, newFake(nil), 4<<20)
	c := in.cpus[0]
	s := &c.page.State
	copy(in.memory2(t), "\x89\x18"+"\x8b\x18")
	paged(t, in, s, true)
	for _, x := range []struct {
		name string
		set  func()
	}{
		{"port read", func() { s.Exit = virt.Exit{Kind: virt.KindIO, In: true, Port: 0x3FD, Size: 1} }},
		{"port write, with a line", func() {
			s.GPR[virt.RAX] = '\n'
			s.Exit = virt.Exit{Kind: virt.KindIO, Port: 0x3F8, Size: 1}
		}},
		{"interrupt", func() {
			s.GPR[virt.RAX] ^= 2
			s.Exit = virt.Exit{Kind: virt.KindIO, Port: 0x3F9, Size: 1}
		}},
		{"RTC", func() {
			s.Exit = virt.Exit{Kind: virt.KindIO, In: true, Port: 0x71, Size: 1}
		}},
		{"nobody's port", func() { s.Exit = virt.Exit{Kind: virt.KindIO, In: true, Port: 0xCFC, Size: 4} }},
		{"REP INSB", func() {
			s.GPR[virt.RCX], s.GPR[virt.RDI] = 16, 0x400800
			s.Exit = virt.Exit{Kind: virt.KindIO, In: true, String: true, Rep: true, Port: 0x3FD, Size: 1, AddrSize: 4, Len: 2}
		}},
		{"MMIO", func() {
			s.RIP, s.GPR[virt.RAX] = 0x400000, 0x400000
			s.Exit = virt.Exit{Kind: virt.KindMMIO, GPA: 0xD8000000}
		}},
		{"kick", func() { s.Exit = virt.Exit{Kind: virt.KindNop} }},
	} {
		t.Run(x.name, func(t *testing.T) {
			if n := testing.AllocsPerRun(100, func() {
				x.set()
				c.dispatch(s)
			}); n != 0 {
				t.Errorf("%v allocations an exit", n)
			}
			if in.stopping.Load() {
				t.Fatal(in.reason)
			}
		})
	}
}

func TestLinesAreSilentOnceTheMachineIsGone(t *testing.T) {
	f := newFake(nil)
	in := testInstance(t, f, 4<<20)
	l := &line{in, 4}
	l.Set(true)
	if !f.machines[0].lines[4] {
		t.Error("the line isn't set")
	}
	in.destroy()
	l.Set(false)
	in.stop(Reason{Cause: Stopped})
	if f.late != nil {
		t.Errorf("done to a destroyed machine: %v", f.late)
	}
}

func TestSurfaceIsTheTable(t *testing.T) {
	ports, err := SurfacePorts()
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	lower := 0
	for _, p := range ports {
		if p.Lower {
			lower++
		}
		if p.First+p.Size > 1<<16 || p.Size == 0 || p.Name == "" {
			t.Errorf("%+v", p)
		}
		b.WriteString(p.Name + "\n")
	}
	if lower != len(lowerPorts) || len(ports) != lower+len(serialPorts)+6 {
		t.Errorf("%d ranges, %d of the lower half:\n%s", len(ports), lower, &b)
	}
	mmio, err := SurfaceMMIO()
	if err != nil || len(mmio) != 3 {
		t.Errorf("%+v %v", mmio, err)
	}
}

// FuzzStringIO gives string I/O any state: it may end the VM, and nothing else.
func FuzzStringIO(f *testing.F) {
	f.Add(uint64(0x11), uint64(2), uint64(0), uint64(0x10000), uint64(3), uint64(0x200000), uint32(0xC093), uint8(4), uint8(3), uint8(1), byte(3))
	f.Add(uint64(0x80000011), ^uint64(0), uint64(0x500), uint64(0xFFFFF000), ^uint64(0), ^uint64(0), uint32(0xA09B), uint8(8), uint8(255), uint8(4), byte(7))
	f.Fuzz(func(t *testing.T, cr0, rflags, efer, cr3, rcx, index uint64, attr uint32, addrSize, segment, size uint8, how byte) {
		in := testInstance(t, newFake(nil), 4<<20)
		c := in.cpus[0]
		s := &c.page.State
		flat(s)
		s.CR0, s.RFLAGS, s.EFER, s.CR3, s.CR4 = cr0, rflags, efer, cr3, uint64(how)<<4
		s.GPR[virt.RCX], s.GPR[virt.RSI], s.GPR[virt.RDI] = rcx, index, index
		for i := range s.Seg {
			s.Seg[i].Attr = attr
		}
		s.Exit = virt.Exit{Kind: virt.KindIO, String: true, In: how&1 != 0, Rep: how&2 != 0,
			Port: 0x3F8, Size: size, AddrSize: addrSize, Segment: segment, Len: 2}
		c.dispatch(s)
	})
}
