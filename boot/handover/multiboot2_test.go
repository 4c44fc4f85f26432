package handover

import (
	"math"
	"reflect"
	"strings"
	"testing"

	"keel/boot/physmem/memtest"
)

// tag is a tag of the boot information with its size filled in and padded to 8 bytes.
func tag(kind uint32, values ...any) []byte {
	body := memtest.Bytes(values...)
	b := memtest.Bytes(kind, uint32(8+len(body)), body)
	return append(b, make([]byte, -len(b)&7)...)
}

// info is the boot information with these tags and an end tag.
func info(tags ...[]byte) []byte {
	var all []byte
	for _, t := range tags {
		all = append(all, t...)
	}
	all = append(all, tag(tagEnd)...)
	return append(memtest.Bytes(uint32(8+len(all)), uint32(0)), all...)
}

func mapTag(entries ...uint64) []byte {
	values := []any{uint32(24), uint32(0)}
	for _, e := range entries {
		values = append(values, e)
	}
	return tag(tagMemoryMap, values...)
}

var (
	plainMap = mapTag(0, 0x9FC00, 1, 0x9FC00, 0x400, 2, 0x10_0000, 0xF0_0000, 1, 0xFFFC_0000, 0x4_0000, 2)
	rgb      = tag(tagFramebuffer, uint64(0xFD00_0000), uint32(4096), uint32(1024), uint32(768), uint8(32), uint8(1), uint16(0),
		[]byte{16, 8, 8, 8, 0, 8})
	oldRSDP = tag(tagOldRSDP, make([]byte, 20))
	newRSDP = tag(tagNewRSDP, make([]byte, 36))
)

func sampleTags() [][]byte {
	return [][]byte{
		tag(tagCommandLine, "safe seed=x\x00"),
		tag(2, "a loader\x00"),
		tag(tagModule, uint32(0x5000), uint32(0x5010), "seed\x00"),
		tag(tagModule, uint32(0x6000), uint32(0x6010), "\x00"),
		tag(tagBasicMemory, uint32(640), uint32(1024)),
		plainMap, rgb, oldRSDP, newRSDP,
	}
}

func parse(t *testing.T, bytes []byte) (*Handover, string) {
	t.Helper()
	image := memtest.New(t, 0x10000)
	image.Put(0x2000, bytes)
	h := &Handover{EFI: true}
	e := FromMultiboot2(image.Memory(), 0x2000, h)
	checkInvariants(t, h)
	return h, e
}

func TestMultiboot2(t *testing.T) {
	h, e := parse(t, info(sampleTags()...))
	if e != "" {
		t.Fatal(e)
	}
	want := []Range{{0, 0x9_F000, Usable}, {0x9_F000, 0x1000, Reserved}, {0x10_0000, 0xF0_0000, Usable}, {0xFFFC_0000, 0x4_0000, Reserved}}
	if !reflect.DeepEqual(ranges(h), want) {
		t.Errorf("map = %v", ranges(h))
	}
	if h.Protocol != Multiboot2 || h.EFI || h.Notes != NoteRSDPInTag {
		t.Errorf("protocol %v, EFI %v, notes %b", h.Protocol, h.EFI, h.Notes)
	}
	if got := string(h.CommandLine[:h.CommandLineLength]); got != "safe seed=x" {
		t.Errorf("command line %q", got)
	}
	if h.NumModules != 2 || h.Modules[0].Start != 0x5000 || h.Modules[0].End != 0x5010 || moduleText(h, 0) != "seed" ||
		h.Modules[1].Start != 0x6000 || moduleText(h, 1) != "" {
		t.Errorf("modules %+v", h.Modules[:h.NumModules])
	}
	wantScreen := Framebuffer{Address: 0xFD00_0000, Pitch: 4096, Width: 1024, Height: 768, BitsPerPixel: 32, Kind: RGB,
		RedPosition: 16, RedSize: 8, GreenPosition: 8, GreenSize: 8, BlueSize: 8}
	if h.Framebuffer != wantScreen {
		t.Errorf("framebuffer %+v", h.Framebuffer)
	}
	if !isReserved(h, h.RSDP, RSDPCopy) || !isReserved(h, 0x2000, LoaderInfo) || !isReserved(h, 0x5000, ModuleData) {
		t.Errorf("reservations %+v", h.Reservations[:h.NumReservations])
	}
}

func TestMultiboot2RSDP(t *testing.T) {
	for _, c := range []struct {
		name string
		tags [][]byte
		want uint64
	}{
		{"none", [][]byte{plainMap}, 0},
		{"old", [][]byte{oldRSDP, plainMap}, 0x2008 + 8},
		{"new after old", [][]byte{oldRSDP, newRSDP, plainMap}, 0x2008 + 32 + 8},
		{"new before old", [][]byte{newRSDP, oldRSDP, plainMap}, 0x2008 + 8},
	} {
		h, e := parse(t, info(c.tags...))
		if e != "" || h.RSDP != c.want {
			t.Errorf("%s: %q, RSDP %#x, want %#x", c.name, e, h.RSDP, c.want)
		}
	}
}

func TestMultiboot2MapFallbacks(t *testing.T) {
	descriptor := func(kind uint32, base, pages, attributes uint64) []byte {
		return memtest.Bytes(kind, uint32(0), base, uint64(0), pages, attributes, uint64(0)) // 48 bytes, as OVMF's are
	}
	const wb = 8
	efi := tag(tagEFIMemoryMap, uint32(48), uint32(1),
		descriptor(7, 0, 0x9F, wb), descriptor(4, 0x10_0000, 16, wb), descriptor(2, 0x11_0000, 16, wb),
		descriptor(7, 0x12_0000, 1, 0), descriptor(6, 0x12_1000, 1, wb), descriptor(9, 0x12_2000, 1, wb),
		descriptor(10, 0x12_3000, 1, wb), descriptor(8, 0x12_4000, 1, wb), descriptor(7, 0x20_0000, math.MaxUint64, wb))
	system := tag(tagEFI64System, uint64(0xF5E_B018))
	h, e := parse(t, info(system, efi, tag(tagBasicMemory, uint32(640), uint32(64))))
	want := []Range{{0, 0x9F000, Usable}, {0x10_0000, 0x2_0000, Usable}, {0x12_0000, 0x2000, Reserved}, {0x12_2000, 0x1000, ACPIReclaimable},
		{0x12_3000, 0x1000, ACPINonVolatile}, {0x12_4000, 0x1000, Bad}, {0x20_0000, PhysicalLimit - 0x20_0000, Usable}}
	if e != "" || h.Notes != NoteMapFromEFI || !reflect.DeepEqual(ranges(h), want) {
		t.Errorf("EFI map: %q, notes %b, %x", e, h.Notes, ranges(h))
	}
	if !h.EFI || h.EFISystem != 0xF5E_B018 {
		t.Errorf("EFI %v, system table %#x", h.EFI, h.EFISystem)
	}
	h, e = parse(t, info(tag(tagBasicMemory, uint32(639), uint32(0x2001))))
	want = []Range{{0, 0x9F000, Usable}, {0x10_0000, 0x80_0000, Usable}}
	if e != "" || h.Notes != NoteMapFromBasic || !reflect.DeepEqual(ranges(h), want) {
		t.Errorf("basic memory: %q, notes %b, %x", e, h.Notes, ranges(h))
	}
	if h, e = parse(t, info(efi, plainMap)); e != "" || h.Notes != 0 {
		t.Errorf("both maps: %q, notes %b", e, h.Notes)
	}
}

func TestMultiboot2Errors(t *testing.T) {
	good := info(plainMap)
	for _, c := range []struct {
		name string
		in   []byte
		want string
	}{
		{"size 0", memtest.Bytes(uint64(0)), "total size"},
		{"size 15", memtest.Bytes(uint32(15), uint32(0), tag(tagEnd)), "total size"},
		{"size beyond memory", memtest.Bytes(uint32(0xE001), uint32(0), tag(tagEnd)), "total size"},
		{"size of 4 GiB", memtest.Bytes(uint32(math.MaxUint32), uint32(0), tag(tagEnd)), "total size"},
		{"no tags", info(), "no memory map"},
		{"no end tag", append(memtest.Bytes(uint32(len(good)-8), uint32(0)), good[8:]...), "no end tag"},
		{"tag of size 0", info(memtest.Bytes(uint32(2), uint32(0))), "tag's size"},
		{"tag of size 7", info(memtest.Bytes(uint32(2), uint32(7))), "tag's size"},
		{"tag beyond the end", info(memtest.Bytes(uint32(2), uint32(17))), "tag's size"},
		{"tag of 4 GiB", info(memtest.Bytes(uint32(2), uint32(math.MaxUint32))), "tag's size"},
		{"padding beyond the end", memtest.Bytes(uint32(17), uint32(0), uint32(2), uint32(9), uint8(0)), "no end tag"},
		{"short module", info(tag(tagModule, uint32(0))), "module tag is too short"},
		{"module backwards", info(tag(tagModule, uint32(0x5010), uint32(0x5000), "\x00"), plainMap), "ends before it starts"},
		{"module outside", info(tag(tagModule, uint32(0x5010), uint32(0x10001), "\x00"), plainMap), "outside the memory"},
		{"entries of 0 bytes", info(tag(tagMemoryMap, uint32(0), uint32(0))), "entry size"},
		{"entries of 23 bytes", info(tag(tagMemoryMap, uint32(23), uint32(0))), "entry size"},
		{"entries of 28 bytes", info(tag(tagMemoryMap, uint32(28), uint32(0))), "entry size"},
		{"map without a head", info(tag(tagMemoryMap)), "entry size"},
		{"EFI entries of 32 bytes", info(tag(tagEFIMemoryMap, uint32(32), uint32(1))), "entry size"},
		{"map without memory", info(mapTag(0x1000, 0x1000, 2)), "no usable memory"},
		{"empty map", info(mapTag()), "no usable memory"},
		{"basic memory too short", info(tag(tagBasicMemory, uint32(640))), "basic memory information is too short"},
		{"short RSDP", info(plainMap, tag(tagNewRSDP, make([]byte, 20))), "RSDP is too short"},
		{"short old RSDP", info(plainMap, tag(tagOldRSDP, make([]byte, 19))), "RSDP is too short"},
		{"boot services", info(plainMap, tag(tagEFIStillRuns)), "boot services"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, e := parse(t, c.in); !strings.Contains(e, c.want) {
				t.Errorf("error %q, want %q in it", e, c.want)
			}
		})
	}
	image := memtest.New(t, 0x3000)
	image.Put(0x2000, good)
	for _, at := range []uint64{0x2004, 0x2FF8, 0x3000, math.MaxUint64 &^ 7} {
		var h Handover
		if e := FromMultiboot2(image.Memory(), at, &h); !strings.Contains(e, "outside the memory") {
			t.Errorf("at %#x: error %q", at, e)
		}
	}
}

func TestMultiboot2ManyModules(t *testing.T) {
	tags := [][]byte{plainMap}
	for range MaxModules + 4 {
		tags = append(tags, tag(tagModule, uint32(0x5000), uint32(0x5010), strings.Repeat("m", 300)+"\x00"))
	}
	h, e := parse(t, info(tags...))
	if e != "" || h.NumModules != MaxModules || h.Notes&NoteModulesDropped == 0 {
		t.Errorf("%q, %d modules, notes %b", e, h.NumModules, h.Notes)
	}
	if h.ModuleTextLength != TextSize || h.Notes&NoteTextTruncated == 0 || moduleText(h, MaxModules-1) != "" {
		t.Errorf("%d bytes of text, notes %b", h.ModuleTextLength, h.Notes)
	}
}

func TestMultiboot2Framebuffers(t *testing.T) {
	screen := func(address uint64, pitch, width, height uint32, bpp, kind uint8, fields ...byte) []byte {
		return tag(tagFramebuffer, address, pitch, width, height, bpp, kind, uint16(0), fields)
	}
	fields := []byte{16, 8, 8, 8, 0, 8}
	for _, c := range []struct {
		name string
		tag  []byte
		want FramebufferKind
	}{
		{"text", screen(0xB8000, 160, 80, 25, 16, 2), Text},
		{"indexed", screen(0xA0000, 320, 320, 200, 8, 0, 0, 0, 0, 0), Indexed},
		{"24 bits", screen(0xE000_0000, 3072, 1024, 768, 24, 1, fields...), RGB},
		{"pitch too small", screen(0xE000_0000, 4095, 1024, 768, 32, 1, fields...), NoFramebuffer},
		{"no address", screen(0, 4096, 1024, 768, 32, 1, fields...), NoFramebuffer},
		{"no width", screen(0xE000_0000, 4096, 0, 768, 32, 1, fields...), NoFramebuffer},
		{"no height", screen(0xE000_0000, 4096, 1024, 0, 32, 1, fields...), NoFramebuffer},
		{"width of 4 billion", screen(0xE000_0000, 4096, math.MaxUint32, 768, 32, 1, fields...), NoFramebuffer},
		{"no depth", screen(0xE000_0000, 4096, 1024, 768, 0, 1, fields...), NoFramebuffer},
		{"odd depth", screen(0xE000_0000, 4096, 1024, 768, 31, 1, fields...), NoFramebuffer},
		{"field above the pixel", screen(0xE000_0000, 4096, 1024, 768, 32, 1, 25, 8, 8, 8, 0, 8), NoFramebuffer},
		{"field that wraps", screen(0xE000_0000, 4096, 1024, 768, 32, 1, 255, 255, 8, 8, 0, 8), NoFramebuffer},
		{"no field", screen(0xE000_0000, 4096, 1024, 768, 32, 1, 16, 0, 8, 8, 0, 8), NoFramebuffer},
		{"too short for fields", screen(0xE000_0000, 4096, 1024, 768, 32, 1), NoFramebuffer},
		{"unknown kind", screen(0xE000_0000, 4096, 1024, 768, 32, 3, fields...), NoFramebuffer},
		{"far too short", tag(tagFramebuffer, uint64(0xB8000)), NoFramebuffer},
	} {
		h, e := parse(t, info(c.tag, plainMap))
		rejected := h.Notes&NoteFramebufferRejected != 0
		if e != "" || h.Framebuffer.Kind != c.want || rejected != (c.want == NoFramebuffer) {
			t.Errorf("%s: %q, %+v, rejected %v", c.name, e, h.Framebuffer, rejected)
		}
	}
}

func FuzzMultiboot2(f *testing.F) {
	f.Add(info(sampleTags()...))
	f.Add(info(tag(tagBasicMemory, uint32(640), uint32(64))))
	f.Add(info(tag(tagEFIMemoryMap, uint32(40), uint32(1), make([]byte, 80)), tag(tagEFI32System, uint32(1))))
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 1<<16 {
			return
		}
		image := memtest.New(t, 0x2000+uint64(len(data))+1)
		image.Put(0x2000, data)
		var h Handover
		FromMultiboot2(image.Memory(), 0x2000, &h)
		checkInvariants(t, &h)
		if h.RSDP != 0 && !image.Memory().Holds(h.RSDP, 20) {
			t.Errorf("RSDP at %#x can't be read", h.RSDP)
		}
	})
}
