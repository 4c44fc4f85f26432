package loader

import (
	"bytes"
	"testing"
)

func TestMultibootELFOfBothClassesIsLoadedAtPhysicalAddresses(t *testing.T) {
	for class := byte(1); class <= 2; class++ {
		m, file := ram(t, 64*mib), mbELF(class)
		e := mustLoad(t, m, Image{Kernel: file})
		if e.Format != FormatMultiboot || e.RIP != 0x100020 || e.RAX != 0x2BADB002 {
			t.Errorf("class %d: %v at %#x with EAX %#x", class, e.Format, e.RIP, e.RAX)
		}
		if !bytes.Equal(bytesAt(t, m, 0x100000, 4096), file[len(file)-4096:]) {
			t.Errorf("class %d: the segment's bytes differ", class)
		}
		if !bytes.Equal(bytesAt(t, m, 0x101000, 4096), make([]byte, 4096)) {
			t.Errorf("class %d: the rest of the segment isn't zero", class)
		}
	}
}

func TestMultibootELFWithAPhysicalEntryPoint(t *testing.T) {
	file := elfImage(1, 0x100020, testSegment{kind: 1, vaddr: 0xC0100000, paddr: 0x100000,
		data: append(mbHeaderBytes(0), pattern(64, 1)...)})
	if e := mustLoad(t, ram(t, 4*mib), Image{Kernel: file}); e.RIP != 0x100020 {
		t.Errorf("entry %#x", e.RIP)
	}
}

func TestMultibootAddressFieldsAreFollowed(t *testing.T) {
	m, file := ram(t, 64*mib), mbFlat()
	e := mustLoad(t, m, Image{Kernel: file})
	if e.RIP != 0x100100 {
		t.Errorf("entry %#x", e.RIP)
	}
	if !bytes.Equal(bytesAt(t, m, 0x100000, 4096), file) || !bytes.Equal(bytesAt(t, m, 0x101000, 0x2000), make([]byte, 0x2000)) {
		t.Error("the kernel's bytes differ")
	}

	// Without ends: the whole file, no bss. The header is at the load address.
	file = append(make([]byte, 16), file[0x40:]...)
	copy(file[16:], mbHeaderBytes(1<<16, 0x200000, 0x200000, 0, 0, 0x200020))
	m = ram(t, 64*mib)
	mustLoad(t, m, Image{Kernel: file})
	if !bytes.Equal(bytesAt(t, m, 0x200000, uint64(len(file)-16)), file[16:]) {
		t.Error("the whole file wasn't loaded")
	}
	if b := bytesAt(t, m, 0x200000+uint64(len(file)-16), 1)[0]; b != 0xCC {
		t.Error("more than the file was loaded")
	}
}

func TestAddressFieldsComeBeforeELFHeaders(t *testing.T) {
	data := append(mbHeaderBytes(1<<16, 0x300000+84, 0x300000, 0, 0, 0x300060), pattern(64, 1)...)
	file := elfImage(1, 0x100000, testSegment{kind: 1, paddr: 0x100000, data: data})
	if e := mustLoad(t, ram(t, 8*mib), Image{Kernel: file}); e.RIP != 0x300060 {
		t.Errorf("entry %#x", e.RIP)
	}
}

func TestMultibootInformationDescribesTheMachine(t *testing.T) {
	m := ram(t, 4*gib)
	initrd, extra := pattern(5000, 1), pattern(10, 2)
	e := mustLoad(t, m, Image{Kernel: mbFlat(), Cmdline: "a b", Initrd: initrd,
		Modules: []Module{{Data: extra, Cmdline: "extra"}}})
	info := bytesAt(t, m, e.RBX, 116)
	field := func(off int) uint64 { return uint64(le.Uint32(info[off:])) }
	if field(0) != 1|1<<2|1<<3|1<<6|1<<9 {
		t.Errorf("flags %#x", field(0))
	}
	if field(4) != 639 || field(8) != 3*1024*1024-1024 {
		t.Errorf("mem_lower %d, mem_upper %d", field(4), field(8))
	}
	if s := stringAt(t, m, field(16)); s != "a b" {
		t.Errorf("command line %q", s)
	}
	if s := stringAt(t, m, field(64)); s != "Keel" {
		t.Errorf("boot loader %q", s)
	}
	if field(20) != 2 {
		t.Fatalf("%d modules", field(20))
	}
	list := bytesAt(t, m, field(24), 32)
	for i, want := range []struct {
		start   uint32 // after the kernel with its bss, page-aligned
		data    []byte
		cmdline string
	}{{0x103000, initrd, ""}, {0x105000, extra, "extra"}} {
		b := list[16*i:]
		start, end, s := le.Uint32(b), le.Uint32(b[4:]), le.Uint32(b[8:])
		if start != want.start || end-start != uint32(len(want.data)) || stringAt(t, m, uint64(s)) != want.cmdline {
			t.Errorf("module %d: %#x to %#x, string at %#x", i, start, end, s)
			continue
		}
		if !bytes.Equal(bytesAt(t, m, uint64(start), uint64(end-start)), want.data) {
			t.Errorf("module %d: bytes differ", i)
		}
	}
	table := bytesAt(t, m, field(48), field(44))
	want := []MapEntry{{0, 0x9FC00, 1}, {0x9FC00, 0x60400, 2}, {mib, 3*gib - mib, 1}, {4 * gib, gib, 1}}
	if len(table) != 24*len(want) {
		t.Fatalf("memory map of %d bytes", len(table))
	}
	for i, w := range want {
		b := table[24*i:]
		if got := (MapEntry{le.Uint64(b[4:]), le.Uint64(b[12:]), le.Uint32(b[20:])}); got != w || le.Uint32(b) != 20 {
			t.Errorf("entry %d of the memory map: %#x", i, got)
		}
	}
}

func TestMultibootModulesFollowAKernelThatIsLoadedHigh(t *testing.T) {
	m, file := ram(t, 64*mib), mbFlat()
	copy(file[0x40:], mbHeaderBytes(1<<16, 0x800040, 0x800000, 0, 0x802001, 0x800000))
	e := mustLoad(t, m, Image{Kernel: file, Initrd: pattern(10, 1)})
	mods, _ := m.Read32(e.RBX + 24)
	if start, _ := m.Read32(uint64(mods)); start != 0x803000 {
		t.Errorf("module at %#x", start)
	}
}

func TestMultibootHeaderIsSearchedWhereItMayBe(t *testing.T) {
	for _, c := range []struct {
		name   string
		offset int
		found  bool
	}{
		{"start", 0, true}, {"aligned", 0x1FC, true}, {"unaligned", 0x1FE, false},
		{"last place", 8192 - 12, true}, {"across the end", 8192 - 8, false}, {"after the end", 8192, false},
	} {
		b := make([]byte, 16384)
		copy(b[c.offset:], mbHeaderBytes(3))
		h, err := findMultiboot(b)
		if (h != nil) != c.found || err != nil || h != nil && h.offset != c.offset {
			t.Errorf("%s: %+v, %v", c.name, h, err)
		}
	}
}

func TestBadMultibootKernelsAreRefusedWithTheReason(t *testing.T) {
	// addressed is mbFlat with other address fields.
	addressed := func(a ...uint32) []byte {
		b := mbFlat()
		copy(b[0x40:], mbHeaderBytes(1<<16, a...))
		return b
	}
	flags := func(f uint32) []byte {
		b := mbFlat()
		copy(b[0x40:], mbHeaderBytes(f))
		return b
	}
	for _, c := range []struct {
		name string
		file []byte
		want string
	}{
		{"unknown requirement", flags(1<<16 | 8), "requires unknown features, flags 0x8"},
		{"neither ELF nor addresses", flags(3), "no address fields and the file is not ELF"},
		{"cut in the address fields", mbFlat()[:0x50], "address fields of the multiboot header at 0x40"},
		{"header below load", addressed(0x0FFFFF, 0x100000, 0, 0, 0x100000), "do not fit a header at 0x40"},
		{"load before the file", addressed(0x100041, 0x100000, 0, 0, 0x100000), "do not fit"},
		{"load_end below load", addressed(0x100040, 0x100000, 0xFFFFF, 0, 0x100000), "load_end_addr 0xfffff"},
		{"load_end past the file", addressed(0x100040, 0x100000, 0x101001, 0, 0x100000), "truncated: the file has 4096 bytes from load_addr on, the header promises 4097"},
		{"bss_end below the data", addressed(0x100040, 0x100000, 0x101000, 0x100FFF, 0x100000), "bss_end_addr 0x100fff"},
		{"entry below", addressed(0x100040, 0x100000, 0, 0, 0xFFFFF), "entry_addr 0xfffff is not in 0x100000-0x100fff"},
		{"entry in bss", addressed(0x100040, 0x100000, 0, 0x102000, 0x101000), "entry_addr 0x101000"},
		{"nothing loaded", addressed(0x100040, 0x100000, 0x100000, 0, 0x100000), "empty"},
		{"past RAM", addressed(0x10000040, 0x10000000, 0, 0, 0x10000000), "0x10000000-0x10000fff is not all in usable RAM"},
		{"bss past RAM", addressed(0x100040, 0x100000, 0, 0xFFFFFFFF, 0x100000), "kernel at 0x100000-0xfffffffe is not all"},
		{"ELF entry elsewhere", elfImage(1, 0x500000, testSegment{kind: 1, paddr: 0x100000, data: mbHeaderBytes(0)}), "entry point 0x500000 is in no loaded segment"},
		{"ELF with a wrong checksum", elfImage(1, 0x100000, testSegment{kind: 1, paddr: 0x100000, data: append(mbHeaderBytes(0)[:8], 1, 2, 3, 4)}), "no PVH note, and the multiboot header"},
	} {
		t.Run(c.name, func(t *testing.T) { wantError(t, 8*mib, Image{Kernel: c.file}, c.want) })
	}
	wantError(t, 4*mib, Image{Kernel: mbFlat(), Initrd: make([]byte, 4*mib)}, "initrd of 4194304 bytes does not fit", "has 3133440 bytes")
}
