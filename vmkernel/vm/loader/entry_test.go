package loader

import "testing"

func TestEntryStatesAreWhatTheProtocolsDemand(t *testing.T) {
	for _, c := range []struct {
		name     string
		kernel   []byte
		format   Format
		mode     Mode
		cr0, cr4 uint64
		efer     uint64
		cs       uint32
		csDesc   uint64
	}{
		{"bzImage", bzImageFile(), FormatLinux, Long64, 0x80000011, 0x20, 0x500, 0xA09B, 0x00AF9B000000FFFF},
		{"PVH", pvhFile(2), FormatPVH, Protected32, 0x11, 0, 0, 0xC09B, 0x00CF9B000000FFFF},
		{"multiboot", mbFlat(), FormatMultiboot, Protected32, 0x11, 0, 0, 0xC09B, 0x00CF9B000000FFFF},
	} {
		m := ram(t, 64*mib)
		e := mustLoad(t, m, Image{Kernel: c.kernel})
		if e.Format != c.format || e.Mode != c.mode {
			t.Errorf("%s: %v in %v", c.name, e.Format, e.Mode)
		}
		if e.CR0 != c.cr0 || e.CR4 != c.cr4 || e.EFER != c.efer || e.RFLAGS != 2 || (e.CR3 != 0) != (c.mode == Long64) {
			t.Errorf("%s: CR0 %#x CR3 %#x CR4 %#x EFER %#x RFLAGS %#x", c.name, e.CR0, e.CR3, e.CR4, e.EFER, e.RFLAGS)
		}
		if want := (Segment{0x10, 0, 0xFFFFFFFF, c.cs}); e.CS != want {
			t.Errorf("%s: CS %#x", c.name, e.CS)
		}
		for i, s := range []Segment{e.DS, e.ES, e.SS, e.FS, e.GS} {
			if want := (Segment{0x18, 0, 0xFFFFFFFF, 0xC093}); s != want {
				t.Errorf("%s: data segment %d is %#x", c.name, i, s)
			}
		}
		if e.TR != (Segment{0, 0, 0x67, 0x8B}) || e.LDTR != (Segment{0, 0, 0, 0x10000}) {
			t.Errorf("%s: TR %#x LDTR %#x", c.name, e.TR, e.LDTR)
		}
		if e.GDTLimit != 31 {
			t.Errorf("%s: GDT limit %d", c.name, e.GDTLimit)
		}
		for i, want := range []uint64{0, 0, c.csDesc, 0x00CF93000000FFFF} {
			if got, err := m.Read64(e.GDTBase + 8*uint64(i)); err != nil || got != want {
				t.Errorf("%s: descriptor %d is %#x, %v, want %#x", c.name, i, got, err, want)
			}
		}
		if e.RSP < 0x2000 || e.RSP > 0x9F000 || e.RSP%16 != 0 {
			t.Errorf("%s: RSP %#x", c.name, e.RSP)
		}
	}
}

func TestDescriptorsPackBaseLimitAndRights(t *testing.T) {
	for _, c := range []struct {
		s    Segment
		want uint64
	}{
		{Segment{Base: 0x12345678, Limit: 0x9ABCD, Access: 0x8B}, 0x12098B345678ABCD},
		{Segment{Limit: 0x12345FFF, Access: 0xC093}, 0x00C1930000002345},
	} {
		if got := c.s.descriptor(); got != c.want {
			t.Errorf("%#x: %#016x, want %#016x", c.s, got, c.want)
		}
	}
}

func TestBootStructuresStayInTheirArea(t *testing.T) {
	for _, kernel := range [][]byte{bzImageFile(), pvhFile(1), mbELF(1)} {
		m := ram(t, 64*mib)
		mustLoad(t, m, Image{Kernel: kernel, Initrd: pattern(100, 1), Cmdline: "x"})
		for _, area := range [][2]uint64{{0, 0x400}, {0x500, 0x1000}, {0x9F000, 0x100000}} {
			for i, c := range bytesAt(t, m, area[0], area[1]-area[0]) {
				if c != 0xCC {
					t.Fatalf("byte %#x was written", area[0]+uint64(i))
				}
			}
		}
	}
}

func TestBIOSDataAreaIsThereAndProtected(t *testing.T) {
	m := ram(t, 64*mib)
	mustLoad(t, m, Image{Kernel: mbFlat()})
	if kib, _ := m.Read16(0x413); kib != 639 {
		t.Errorf("base memory of %d KiB", kib)
	}
	if ebda, _ := m.Read16(0x40E); ebda != 0 {
		t.Errorf("EBDA at segment %#x", ebda)
	}
	if com, _ := m.Read64(0x400); com != 0x02E803E802F803F8 {
		t.Errorf("UARTs at %#x", com)
	}
	low := elfImage(1, 0x4F8, testSegment{kind: 1, paddr: 0x4F8, data: mbHeaderBytes(0)})
	wantError(t, 4*mib, Image{Kernel: low}, "overlaps BIOS data area at 0x400-0x4ff")
}

func TestUnknownFilesAreNamed(t *testing.T) {
	mb2 := make([]byte, 4096)
	for i, v := range []uint32{0xE85250D6, 0, 16, 1<<32 - 0xE85250D6 - 16} {
		le.PutUint32(mb2[64+4*i:], v)
	}
	badSum := make([]byte, 4096)
	copy(badSum[8:], mbHeaderBytes(3))
	badSum[16]++
	sector := make([]byte, 512)
	sector[510], sector[511] = 0x55, 0xAA
	pad := string(make([]byte, 600))
	elf := elfImage(2, 0x100000, testSegment{kind: 1, paddr: 0x100000, data: pattern(64, 1)})
	for _, c := range []struct {
		name, file, want string
	}{
		{"empty", "", "empty file"},
		{"short", "abc", "file too short: 3 bytes"},
		{"gzip", "\x1f\x8b\x08" + pad, "gzip-compressed file"},
		{"xz", "\xfd7zXZ\x00" + pad, "xz-compressed file"},
		{"zstd", "\x28\xb5\x2f\xfd" + pad, "zstd-compressed file"},
		{"PE", "MZ" + pad, "PE without Linux header"},
		{"cpio", "070701" + pad, "cpio"},
		{"sector", string(sector), "boot sector"},
		{"multiboot 2", string(mb2), "version 2 only"},
		{"multiboot with a wrong checksum", string(badSum), "multiboot header at 0x8 has the wrong checksum"},
		{"plain ELF", string(elf), "ELF without a PVH note or multiboot header"},
		{"zeros", pad, "unknown format, beginning with 00 00 00 00 00 00 00 00"},
	} {
		t.Run(c.name, func(t *testing.T) { wantError(t, 4*mib, Image{Kernel: []byte(c.file)}, c.want) })
	}
}

func TestMemoryThatNoGuestCanHaveIsRefused(t *testing.T) {
	wantError(t, 1, Image{Kernel: bzImageFile()}, "guest memory of 1 bytes is below the minimum of 2097152")
	wantError(t, 2*mib-1, Image{Kernel: bzImageFile()}, "2097151 bytes")
	wantError(t, 16*mib, Image{Kernel: bzImageFile()}, "is not all in usable RAM", "0x100000-0xffffff")
}

func TestImageLimitsHoldForEveryFormat(t *testing.T) {
	wantError(t, 4*mib, Image{Kernel: mbFlat(), Cmdline: string(make([]byte, MaxCmdline+1))}, "65537 bytes, at most 65536")
	wantError(t, 4*mib, Image{Kernel: mbFlat(), Modules: []Module{{}, {Cmdline: "a\x00"}}}, "module 1's command line has a NUL")
	wantError(t, 4*mib, Image{Kernel: mbFlat(), Initrd: []byte{1}, Modules: make([]Module, MaxModules)}, "65 modules")
}
