package loader

import (
	"bytes"
	"testing"
)

func TestPVHKernelOfBothClassesIsLoaded(t *testing.T) {
	for class := byte(1); class <= 2; class++ {
		m := ram(t, 64*mib)
		e := mustLoad(t, m, Image{Kernel: pvhFile(class), Cmdline: "hello"})
		if e.RIP != 0x100040 || e.Format != FormatPVH {
			t.Errorf("class %d: %v at %#x", class, e.Format, e.RIP)
		}
		if !bytes.Equal(bytesAt(t, m, 0x100000, 4096), pattern(4096, 2)) ||
			!bytes.Equal(bytesAt(t, m, 0x200000, 100), pattern(100, 3)) {
			t.Errorf("class %d: the segments' bytes differ", class)
		}
		if !bytes.Equal(bytesAt(t, m, 0x101000, 4096), make([]byte, 4096)) {
			t.Errorf("class %d: the rest of the first segment isn't zero", class)
		}
		if b := bytesAt(t, m, 0x102000, 1)[0]; b != 0xCC {
			t.Errorf("class %d: the byte after the first segment was written", class)
		}
	}
}

func TestStartInfoDescribesTheMachine(t *testing.T) {
	m := ram(t, 4*gib)
	initrd, extra := pattern(5000, 1), pattern(10, 2)
	e := mustLoad(t, m, Image{Kernel: pvhFile(2), Cmdline: "a b", Initrd: initrd,
		Modules: []Module{{Data: extra, Cmdline: "extra"}}})
	info := bytesAt(t, m, e.RBX, 56)
	if le.Uint32(info) != 0x336EC578 || le.Uint32(info[4:]) != 1 || le.Uint32(info[8:]) != 0 {
		t.Errorf("magic, version, flags: % x", info[:12])
	}
	if s := stringAt(t, m, le.Uint64(info[24:])); s != "a b" {
		t.Errorf("command line %q", s)
	}
	if rsdp := le.Uint64(info[32:]); rsdp != 0xE0000 {
		t.Errorf("rsdp_paddr %#x", rsdp)
	}
	if n := le.Uint32(info[12:]); n != 2 {
		t.Fatalf("%d modules", n)
	}
	list := bytesAt(t, m, le.Uint64(info[16:]), 64)
	for i, want := range []struct {
		addr    uint64
		data    []byte
		cmdline string
	}{{896*mib - 8192, initrd, ""}, {896*mib - 12288, extra, "extra"}} {
		b := list[32*i:]
		addr, size, cmdline := le.Uint64(b), le.Uint64(b[8:]), le.Uint64(b[16:])
		if addr != want.addr || size != uint64(len(want.data)) || stringAt(t, m, cmdline) != want.cmdline {
			t.Errorf("module %d: %d bytes at %#x, command line at %#x", i, size, addr, cmdline)
			continue
		}
		if !bytes.Equal(bytesAt(t, m, addr, size), want.data) {
			t.Errorf("module %d: bytes differ", i)
		}
	}
	if n := le.Uint32(info[48:]); n != 4 {
		t.Fatalf("%d entries in the memory map", n)
	}
	last := bytesAt(t, m, le.Uint64(info[40:])+3*24, 24)
	if le.Uint64(last) != 4*gib || le.Uint64(last[8:]) != gib || le.Uint32(last[16:]) != 1 {
		t.Errorf("last entry of the memory map % x", last)
	}
}

func TestPVHModulesGoAbove896MiBIfTheyMust(t *testing.T) {
	m := ram(t, 2*gib)
	memmap, err := MemoryMap(m)
	if err != nil {
		t.Fatal(err)
	}
	j := &job{m: roomy{m: m}, memmap: memmap, space: newSpace(memmap), img: Image{Initrd: make([]byte, 4097)}}
	if err := j.space.claim(mib, 895*mib-4096, "kernel"); err != nil {
		t.Fatal(err)
	}
	info, err := j.startInfo()
	if err != nil {
		t.Fatal(err)
	}
	list, _ := m.Read64(info + 16)
	if start, _ := m.Read64(list); start != 2*gib-8192 {
		t.Errorf("initrd at %#x", start)
	}
}

func TestPVHNoteIsFoundWithEightBytePadding(t *testing.T) {
	// A GNU property note of 4 bytes, padded to 8, precedes.
	b := append(note("GNU\x00", 5, pattern(4, 1)), 0, 0, 0, 0)
	b = append(b, note("Xen\x00", 18, le.AppendUint64(nil, 0x100000))...)
	f := &elfFile{notes: [][]byte{b}}
	entry, found, err := f.pvhEntry()
	if entry != 0x100000 || !found || err != nil {
		t.Errorf("%#x, %v, %v", entry, found, err)
	}
}

func TestDamagedNotesAreNotFollowed(t *testing.T) {
	for name, b := range map[string][]byte{
		"short header":   {1, 2, 3},
		"name too long":  {0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0, 18, 0, 0, 0, 'X', 'e', 'n', 0},
		"name wraps":     {0xF4, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0, 18, 0, 0, 0, 'X', 'e', 'n', 0},
		"desc too long":  {4, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF, 18, 0, 0, 0, 'X', 'e', 'n', 0, 0, 0},
		"another's":      note("Foo\x00", 18, []byte{0, 0, 16, 0}),
		"another type":   note("Xen\x00", 17, []byte{0, 0, 16, 0}),
		"owner sans NUL": note("Xen", 18, []byte{0, 0, 16, 0}),
	} {
		f := &elfFile{notes: [][]byte{b}}
		if entry, found, _ := f.pvhEntry(); found {
			t.Errorf("%s: found %#x", name, entry)
		}
	}
}

func TestBadELFKernelsAreRefusedWithTheReason(t *testing.T) {
	const ph = 64 // the first program header of an ELF64 file
	for _, c := range []struct {
		name   string
		change func(b []byte) []byte
		want   string
	}{
		{"cut in the header", func(b []byte) []byte { return b[:40] }, "truncated: 40 bytes"},
		{"cut in a 64-bit header", func(b []byte) []byte { return b[:60] }, "truncated: 60 bytes"},
		{"cut in the program headers", func(b []byte) []byte { return b[:100] }, "3 program headers at 0x40"},
		{"cut in a segment", func(b []byte) []byte { return b[:1000] }, "program header 0: truncated: 0x1000 bytes at 0xe8"},
		{"class", func(b []byte) []byte { b[4] = 3; return b }, "class 3"},
		{"big-endian", func(b []byte) []byte { b[5] = 2; return b }, "little-endian"},
		{"object file", func(b []byte) []byte { b[16] = 1; return b }, "type 1"},
		{"ARM", func(b []byte) []byte { b[18] = 183; return b }, "machine 183"},
		{"no program headers", func(b []byte) []byte { b[56] = 0; return b }, "no program headers"},
		{"too many", func(b []byte) []byte { b[57] = 1; return b }, "259 program headers, at most 64"},
		{"odd size", func(b []byte) []byte { b[54] = 32; return b }, "32 bytes, not 56"},
		{"phoff wraps", func(b []byte) []byte { le.PutUint64(b[32:], 1<<64-8); return b }, "program headers at 0xfffffffffffffff8"},
		{"offset wraps", func(b []byte) []byte { le.PutUint64(b[ph+8:], 1<<64-8); return b }, "at 0xfffffffffffffff8 are not in a file"},
		{"filesz over memsz", func(b []byte) []byte { le.PutUint64(b[ph+40:], 100); return b }, "more than its 0x64 in memory"},
		{"memsz wraps", func(b []byte) []byte { le.PutUint64(b[ph+40:], 1<<64-1); return b }, "0xffffffffffffffff bytes at 0x100000 wrap"},
		{"memsz over RAM", func(b []byte) []byte { le.PutUint64(b[ph+40:], 1<<40); return b }, "segment 0 at 0x100000-0x100000fffff is not all in usable RAM"},
		{"in firmware's area", func(b []byte) []byte { le.PutUint64(b[ph+56+24:], 0xF0000); return b }, "segment 1 at 0xf0000-0xf0063 is not all in usable RAM"},
		{"in the hole", func(b []byte) []byte { le.PutUint64(b[ph+56+24:], 3*gib); return b }, "0xc0000000"},
		{"overlap", func(b []byte) []byte { le.PutUint64(b[ph+56+24:], 0x101FFF); return b }, "segment 1 at 0x101fff-0x102062 overlaps segment 0 at 0x100000-0x101fff"},
		{"entry elsewhere", func(b []byte) []byte { le.PutUint64(b[len(b)-8:], 0x300000); return b }, "entry point 0x300000 of the PVH note"},
		{"entry above 4 GiB", func(b []byte) []byte { le.PutUint64(b[len(b)-8:], 1<<32+0x100040); return b }, "entry point 0x100100040"},
		{"note of 3 bytes", func(b []byte) []byte { b[len(b)-20] = 3; return b }, "PVH note of 3 bytes"},
		{"nothing to load", func(b []byte) []byte { b[ph], b[ph+56] = 6, 6; return b }, "no PT_LOAD"},
	} {
		t.Run(c.name, func(t *testing.T) {
			wantError(t, 8*mib, Image{Kernel: c.change(pvhFile(2))}, c.want)
		})
	}
}

func TestPVHNoteComesBeforeAMultibootHeader(t *testing.T) {
	file := elfImage(1, 0x100000,
		testSegment{kind: 1, paddr: 0x100000, data: append(mbHeaderBytes(0), pattern(64, 1)...)},
		testSegment{kind: 4, data: note("Xen\x00", 18, le.AppendUint32(nil, 0x100010))})
	if e := mustLoad(t, ram(t, 4*mib), Image{Kernel: file}); e.Format != FormatPVH {
		t.Errorf("loaded as %v", e.Format)
	}
}

func TestPVHEntryMustBeBelow4GiBEvenIfLoadedAbove(t *testing.T) {
	file := elfImage(2, 0, testSegment{kind: 1, paddr: 4 * gib, data: pattern(64, 1)},
		testSegment{kind: 4, data: note("Xen\x00", 18, le.AppendUint64(nil, 4*gib))})
	wantError(t, 5*gib, Image{Kernel: file}, "entry point 0x100000000 of the PVH note")
}
