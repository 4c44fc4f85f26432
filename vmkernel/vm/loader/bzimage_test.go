package loader

import (
	"bytes"
	"strings"
	"testing"

	"keel/vmkernel/vm/guestmem"
)

func TestBzImageIsLoadedAtItsPreferredAddress(t *testing.T) {
	m, file := ram(t, 64*mib), bzImageFile()
	e := mustLoad(t, m, Image{Kernel: file, Cmdline: "console=ttyS0 quiet"})
	if e.Format != FormatLinux || e.RIP != 0x1000200 {
		t.Errorf("%v at %#x", e.Format, e.RIP)
	}
	if !bytes.Equal(bytesAt(t, m, 0x1000000, 8192), file[5*512:]) {
		t.Error("the kernel's bytes differ")
	}
	zp := bytesAt(t, m, e.RSI, 4096)
	if !bytes.Equal(zp[:0x70], make([]byte, 0x70)) || zp[0x1EF] != 0 || le.Uint32(zp[0x26C:]) != 0 {
		t.Error("the zero page has more than the header and what the loader sets")
	}
	if string(zp[0x202:0x206]) != "HdrS" || zp[0x210] != 0xFF || le.Uint32(zp[0x214:]) != 0x1000000 {
		t.Errorf("header % x", zp[0x1F1:0x220])
	}
	if rsdp := le.Uint64(zp[0x70:]); rsdp != 0xE0000 {
		t.Errorf("acpi_rsdp_addr %#x", rsdp)
	}
	if s := stringAt(t, m, uint64(le.Uint32(zp[0x228:]))); s != "console=ttyS0 quiet" {
		t.Errorf("command line %q", s)
	}
	if le.Uint64(zp[0x218:]) != 0 || le.Uint64(zp[0xC0:]) != 0 {
		t.Error("an initrd where there is none")
	}
}

func TestBzImageGetsTheMemoryMap(t *testing.T) {
	for _, c := range []struct {
		size uint64
		want []MapEntry
	}{
		{64 * mib, []MapEntry{{0, 0x9FC00, 1}, {0x9FC00, 0x60400, 2}, {mib, 63 * mib, 1}}},
		{3 * gib, []MapEntry{{0, 0x9FC00, 1}, {0x9FC00, 0x60400, 2}, {mib, 3*gib - mib, 1}}},
		{4 * gib, []MapEntry{{0, 0x9FC00, 1}, {0x9FC00, 0x60400, 2}, {mib, 3*gib - mib, 1}, {4 * gib, gib, 1}}},
		{6 * gib, []MapEntry{{0, 0x9FC00, 1}, {0x9FC00, 0x60400, 2}, {mib, 3*gib - mib, 1}, {4 * gib, 3 * gib, 1}}},
	} {
		m := ram(t, c.size)
		e := mustLoad(t, m, Image{Kernel: bzImageFile()})
		zp := bytesAt(t, m, e.RSI, 4096)
		if int(zp[0x1E8]) != len(c.want) {
			t.Errorf("%#x bytes: %d entries, want %d", c.size, zp[0x1E8], len(c.want))
			continue
		}
		for i, w := range c.want {
			b := zp[0x2D0+20*i:]
			if got := (MapEntry{le.Uint64(b), le.Uint64(b[8:]), le.Uint32(b[16:])}); got != w {
				t.Errorf("%#x bytes: entry %d is %#x, want %#x", c.size, i, got, w)
			}
		}
	}
}

func TestInitrdIsAsHighAsTheKernelAllows(t *testing.T) {
	for _, c := range []struct {
		name    string
		memory  uint64
		addrMax uint32
		xlf     uint16
		kernel  uint32 // init_size
		size    int
		want    uint64
	}{
		{"top of RAM", 64 * mib, 0x7FFFFFFF, 3, 8 * mib, 5000, 64*mib - 8192},
		{"up to initrd_addr_max", 64 * mib, 0x1FFFFFF, 1, 8 * mib, 4096, 0x1FFF000},
		{"below an odd initrd_addr_max", 64 * mib, 0x1FFF100, 1, 8 * mib, 4096, 0x1FFE000},
		{"below the kernel if there is no more room above", 25 * mib, 0x7FFFFFFF, 1, 8 * mib, 2 * mib, 14 * mib},
		{"2 GiB limit of a large VM", 4 * gib, 0x7FFFFFFF, 1, 8 * mib, 4096, 0x7FFFF000},
		{"above initrd_addr_max if allowed", 64 * mib, 0x1FFFFF, 3, 8 * mib, 2 * mib, 62 * mib},
		{"above 4 GiB if allowed and needed", 3*gib + 64*mib, 0xFFFFF, 3, 0xBF000000 - mib, 32 * mib, 4*gib + 32*mib},
	} {
		file := bzImageFile()
		le.PutUint32(file[0x22C:], c.addrMax)
		le.PutUint16(file[0x236:], c.xlf)
		le.PutUint32(file[0x260:], c.kernel)
		initrd := pattern(c.size, 6)
		m := ram(t, c.memory)
		e, err := Load(m, Image{Kernel: file, Initrd: initrd}, 0)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		zp := bytesAt(t, m, e.RSI, 4096)
		addr := uint64(le.Uint32(zp[0x218:])) | uint64(le.Uint32(zp[0xC0:]))<<32
		size := uint64(le.Uint32(zp[0x21C:])) | uint64(le.Uint32(zp[0xC4:]))<<32
		if addr != c.want || size != uint64(c.size) {
			t.Errorf("%s: %#x bytes at %#x, want %#x at %#x", c.name, size, addr, c.size, c.want)
			continue
		}
		if !bytes.Equal(bytesAt(t, m, addr, size), initrd) {
			t.Errorf("%s: the initrd's bytes differ", c.name)
		}
	}
}

func TestLoadAddressFollowsTheHeader(t *testing.T) {
	for _, c := range []struct {
		name       string
		pref       uint64
		align      uint32
		relocates  byte
		want       uint64
		errorParts []string
	}{
		{"aligned up", 0x1000001, 0x200000, 1, 0x1200000, nil},
		{"not below 1 MiB", 0, 0x1000, 1, 0x100000, nil},
		{"fixed is left unaligned", 0x1000800, 0x200000, 0, 0x1000800, nil},
		{"fixed below 1 MiB", 0x10000, 0x1000, 0, 0, []string{"load address 0x10000", "1 MiB"}},
		{"in the device hole", 0xC0000000, 0x200000, 1, 0, []string{"load address 0xc0000000", "3 GiB"}},
		{"above 4 GiB", 0x100000000, 0x200000, 1, 0, []string{"0x100000000"}},
		{"wraps", 0xFFFFFFFFFFFFFFFF, 0x200000, 1, 0, []string{"wraps"}},
		{"past RAM", 0x8000000, 0x200000, 1, 0, []string{"0x8000000-0x87fffff", "usable RAM", "0x100000-0x3ffffff"}},
		{"alignment 0", 0x1000000, 0, 1, 0, []string{"kernel_alignment 0x0"}},
		{"alignment 3", 0x1000000, 3, 1, 0, []string{"kernel_alignment 0x3"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			file := bzImageFile()
			le.PutUint64(file[0x258:], c.pref)
			le.PutUint32(file[0x230:], c.align)
			file[0x234] = c.relocates
			if c.errorParts != nil {
				wantError(t, 64*mib, Image{Kernel: file}, append(c.errorParts, "bzImage: ")...)
				return
			}
			m := ram(t, 64*mib)
			e := mustLoad(t, m, Image{Kernel: file})
			if e.RIP != c.want+0x200 {
				t.Errorf("entry %#x, want %#x", e.RIP, c.want+0x200)
			}
			if !bytes.Equal(bytesAt(t, m, c.want, 8192), file[5*512:]) {
				t.Error("the kernel's bytes differ")
			}
		})
	}
}

func TestBadBzImagesAreRefusedWithTheReason(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(img *Image)
		want   string
	}{
		{"cut in the header", func(i *Image) { i.Kernel = i.Kernel[:0x207] }, "truncated: 519 bytes"},
		{"cut after version", func(i *Image) { i.Kernel = i.Kernel[:0x240] }, "truncated: 576 bytes, the setup header alone needs 620"},
		{"cut in the setup", func(i *Image) { i.Kernel = i.Kernel[:2000] }, "truncated: 2000 bytes, the setup header promises 10752"},
		{"cut in the kernel", func(i *Image) { i.Kernel = i.Kernel[:10751] }, "truncated: 10751 bytes, the setup header promises 10752"},
		{"huge syssize", func(i *Image) { le.PutUint32(i.Kernel[0x1F4:], 0xFFFFFFFF) }, "promises 68719479280"},
		{"no code", func(i *Image) { le.PutUint32(i.Kernel[0x1F4:], 0); i.Kernel = i.Kernel[:2560] }, "has 0 bytes"},
		{"boot flag", func(i *Image) { i.Kernel[0x1FE] = 0 }, "boot_flag is 0xaa00"},
		{"old", func(i *Image) { le.PutUint16(i.Kernel[0x206:], 0x20B) }, "protocol 2.11 is too old"},
		{"short header", func(i *Image) { i.Kernel[0x201] = 0x20 }, "setup header ends at 0x222"},
		{"zImage", func(i *Image) { i.Kernel[0x211] = 0 }, "zImage"},
		{"32-bit", func(i *Image) { i.Kernel[0x236] = 2 }, "XLF_KERNEL_64 is clear in xloadflags 0x2"},
		{"long command line", func(i *Image) { i.Cmdline = strings.Repeat("x", 2048) }, "2048 bytes, this kernel takes at most 2047"},
		{"NUL in command line", func(i *Image) { i.Cmdline = "a\x00b" }, "NUL at byte 1"},
		{"module", func(i *Image) { i.Modules = []Module{{}} }, "1 modules given"},
		{"needs more memory", func(i *Image) { le.PutUint32(i.Kernel[0x260:], 64*mib) }, "0x1000000-0x4ffffff is not all in usable RAM"},
		{"initrd of all memory", func(i *Image) { i.Initrd = make([]byte, 60*mib) }, "initrd of 62914560 bytes does not fit: the largest free piece of RAM from 0x100000"},
	} {
		t.Run(c.name, func(t *testing.T) {
			img := Image{Kernel: bzImageFile()}
			c.change(&img)
			wantError(t, 64*mib, img, c.want)
		})
	}
}

func TestCommandLineMayHaveItsFullLength(t *testing.T) {
	m, line := ram(t, 64*mib), strings.Repeat("y", 2047)
	e := mustLoad(t, m, Image{Kernel: bzImageFile(), Cmdline: line})
	ptr, _ := m.Read32(e.RSI + 0x228)
	if stringAt(t, m, uint64(ptr)) != line {
		t.Error("the command line differs")
	}
}

func TestSetupSectsOfZeroMeansFour(t *testing.T) {
	m, file := ram(t, 64*mib), bzImageFile()
	file[0x1F1] = 0
	mustLoad(t, m, Image{Kernel: file})
	if !bytes.Equal(bytesAt(t, m, 0x1000000, 8192), file[5*512:]) {
		t.Error("the kernel's bytes differ")
	}
}

func TestLongSetupHeaderEndsWhereTheZeroPageGoesOn(t *testing.T) {
	m, file := ram(t, 64*mib), bzImageFile()
	file[0x201] = 0xFF
	for i := 0x280; i < 0x310; i++ {
		file[i] = 0xAB
	}
	e := mustLoad(t, m, Image{Kernel: file})
	zp := bytesAt(t, m, e.RSI, 4096)
	if zp[0x28F] != 0xAB || zp[0x290] != 0 || zp[0x2CF] != 0 {
		t.Errorf("zero page from 0x280: % x", zp[0x280:0x2D0])
	}
}

// walk translates a linear address through 4-level page tables (SDM 3A 4.5).
func walk(t *testing.T, m *guestmem.Memory, cr3, addr uint64) (uint64, bool) {
	t.Helper()
	table := cr3
	for shift := uint(39); ; shift -= 9 {
		entry, err := m.Read64(table + addr>>shift&511*8)
		if err != nil {
			t.Fatal(err)
		}
		if entry&3 != 3 {
			return 0, false
		}
		frame := entry & 0x000FFFFFFFFFF000
		if shift < 39 && entry&(1<<7) != 0 {
			return frame&^(1<<shift-1) | addr&(1<<shift-1), true
		}
		if shift == 12 {
			return frame | addr&0xFFF, true
		}
		table = frame
	}
}

func TestPageTablesMapTheFirst4GiBOneToOne(t *testing.T) {
	m := ram(t, 64*mib)
	e := mustLoad(t, m, Image{Kernel: bzImageFile()})
	for _, a := range []uint64{0, 0x1234, 0x1000200, 0x1FFFFF, 0x200000, 0x3FFFFFFF, 0x40000000, 0xFEE00030, 0xFFFFFFFF} {
		if got, ok := walk(t, m, e.CR3, a); !ok || got != a {
			t.Errorf("%#x is mapped to %#x, %v", a, got, ok)
		}
	}
	if got, ok := walk(t, m, e.CR3, 4*gib); ok {
		t.Errorf("4 GiB is mapped to %#x", got)
	}
}
