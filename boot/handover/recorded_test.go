package handover

import (
	"reflect"
	"testing"

	"keel/boot/physmem/memtest"
)

const recordings = "../physmem/memtest/testdata/"

// TestRecordedMachines reads what real loaders left in memory (testdata/README.md says which).
func TestRecordedMachines(t *testing.T) {
	screen := func(address uint64) Framebuffer {
		return Framebuffer{Address: address, Pitch: 4096, Width: 1024, Height: 768, BitsPerPixel: 32, Kind: RGB,
			RedPosition: 16, RedSize: 8, GreenPosition: 8, GreenSize: 8, BlueSize: 8}
	}
	for _, c := range []struct {
		name     string
		size     uint64
		info     uint64
		rsdp     uint64
		efi      bool
		seed     string
		text     string
		module   uint64
		usable   uint64
		lowFree  uint64
		screen   Framebuffer
		mustHave Range
	}{
		{"qemu-pvh", 64 << 20, 0x21E0, 0xF59D0, false, "two", "", 0x3FD7000, 0x3F7F000, 0x3000, Framebuffer{},
			Range{0x3FE0000, 0x20000, Reserved}},
		{"qemu-grub-bios", 128 << 20, 0x1000C0, 0x1007A8, false, "/keel/seed.tar", "seed first", 0x101000, 0x7F7E000, 0x1000, screen(0xFD000000),
			Range{0xB0000000, 0x10000000, Reserved}},
		{"qemu-grub-uefi", 256 << 20, 0x6000, 0x64A8, true, "/keel/seed.tar", "seed first", 0x4000, 0xF986000, 0x1000, screen(0xC0000000),
			Range{0xF76C000, 0x12000, ACPIReclaimable}},
		{"bochs-grub-bios", 128 << 20, 0x1000C0, 0x100448, false, "/keel/seed.tar", "seed first", 0x101000, 0x7F8F000, 0x1000,
			Framebuffer{Address: 0xB8000, Pitch: 160, Width: 80, Height: 25, BitsPerPixel: 16, Kind: Text},
			Range{0x7FF0000, 0x10000, ACPIReclaimable}},
	} {
		t.Run(c.name, func(t *testing.T) {
			image := memtest.New(t, c.size)
			image.Load(recordings + c.name + ".mem.gz")
			var h Handover
			read := FromMultiboot2
			if c.name == "qemu-pvh" {
				read = FromPVH
			}
			if e := read(image.Memory(), c.info, &h); e != "" {
				t.Fatal(e)
			}
			checkInvariants(t, &h)
			if h.RSDP != c.rsdp || h.EFI != c.efi || h.Framebuffer != c.screen {
				t.Errorf("RSDP %#x, EFI %v, framebuffer %+v", h.RSDP, h.EFI, h.Framebuffer)
			}
			if seed, _ := h.Value("seed"); !h.Option("safe") || string(seed) != c.seed {
				t.Errorf("command line %q", h.CommandLine[:h.CommandLineLength])
			}
			if m := h.Modules[0]; m.Start != c.module || m.End != c.module+20 || moduleText(&h, 0) != c.text {
				t.Errorf("module %+v %q", m, moduleText(&h, 0))
			}
			if got := h.UsableBytes(); got != c.usable {
				t.Errorf("usable %#x, want %#x: %x", got, c.usable, ranges(&h))
			}
			if got := h.LowFree(0x2000); got != c.lowFree {
				t.Errorf("LowFree = %#x", got)
			}
			found := false
			for _, r := range ranges(&h) {
				found = found || reflect.DeepEqual(r, c.mustHave)
			}
			if !found {
				t.Errorf("no range %x in %x", c.mustHave, ranges(&h))
			}
		})
	}
}
