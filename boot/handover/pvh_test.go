package handover

import (
	"math"
	"reflect"
	"strings"
	"testing"

	"keel/boot/physmem/memtest"
)

// putPVH writes a start info at 0x1000 that is right in everything: map at 0x1100, modules at
// 0x1200, command line at 0x1300, the modules' texts behind it.
func putPVH(m *memtest.Image) {
	m.Put(0x1000, uint32(pvhMagic), uint32(1), uint32(0), uint32(2),
		uint64(0x1200), uint64(0x1300), uint64(0xF_5678), uint64(0x1100), uint32(4), uint32(0))
	m.Put(0x1100,
		uint64(0), uint64(0x9_FC00), uint32(1), uint32(0),
		uint64(0x9_FC00), uint64(0x400), uint32(2), uint32(0),
		uint64(0x10_0000), uint64(0x3F0_0000), uint32(1), uint32(0),
		uint64(0x400_0000), uint64(0x1000), uint32(3), uint32(0))
	m.Put(0x1200,
		uint64(0x2000), uint64(0x123), uint64(0x1340), uint64(0),
		uint64(0x2800), uint64(0), uint64(0), uint64(0))
	m.Put(0x1300, "safe seed=x\x00")
	m.Put(0x1340, "first module\x00")
}

func TestPVH(t *testing.T) {
	image := memtest.New(t, 0x3000)
	putPVH(image)
	h := Handover{EFI: true, NumModules: 7} // leftovers must not survive
	if e := FromPVH(image.Memory(), 0x1000, &h); e != "" {
		t.Fatal(e)
	}
	checkInvariants(t, &h)
	if h.Protocol != PVH || h.EFI || h.RSDP != 0xF_5678 || h.Info != 0x1000 || h.Notes != 0 || h.Framebuffer.Kind != NoFramebuffer {
		t.Errorf("protocol %v, EFI %v, RSDP %#x, info %#x, notes %b", h.Protocol, h.EFI, h.RSDP, h.Info, h.Notes)
	}
	want := []Range{{0, 0x9_F000, Usable}, {0x9_F000, 0x1000, Reserved}, {0x10_0000, 0x3F0_0000, Usable}, {0x400_0000, 0x1000, ACPIReclaimable}}
	if !reflect.DeepEqual(ranges(&h), want) {
		t.Errorf("map = %v", ranges(&h))
	}
	if h.NumModules != 2 || h.Modules[0].Start != 0x2000 || h.Modules[0].End != 0x2123 || moduleText(&h, 0) != "first module" {
		t.Errorf("%d modules, first %+v %q", h.NumModules, h.Modules[0], moduleText(&h, 0))
	}
	if h.Modules[1].Start != 0x2800 || h.Modules[1].End != 0x2800 || moduleText(&h, 1) != "" {
		t.Errorf("second module %+v", h.Modules[1])
	}
	if got := string(h.CommandLine[:h.CommandLineLength]); got != "safe seed=x" {
		t.Errorf("command line %q", got)
	}
	if !isReserved(&h, 0x1000, LoaderInfo) || !isReserved(&h, 0x2122, ModuleData) || !isReserved(&h, 0xF_FFFF, LowMemory) {
		t.Errorf("reservations: %+v", h.Reservations[:h.NumReservations])
	}
	if base, end := h.NextFree(0); base != 0x10_0000 || end != 0x400_0000 {
		t.Errorf("first free memory %#x-%#x", base, end)
	}
}

func TestPVHErrors(t *testing.T) {
	for _, c := range []struct {
		name string
		at   uint64
		put  any
		want string
	}{
		{"magic", 0x1000, uint32(0), "magic"},
		{"version 0", 0x1004, uint32(0), "version 0"},
		{"map at nowhere", 0x1028, uint64(0), "memory map lies outside"},
		{"map beyond memory", 0x1028, uint64(0x2FFF), "memory map lies outside"},
		{"map at the end of the address space", 0x1028, uint64(math.MaxUint64 - 8), "memory map lies outside"},
		{"map too long", 0x1030, uint32(math.MaxUint32), "more than 4096"},
		{"map longer than memory", 0x1030, uint32(4096), "memory map lies outside"},
		{"empty map", 0x1030, uint32(0), "no usable memory"},
		{"command line outside", 0x1018, uint64(0x3000), "command line lies outside"},
		{"modules outside", 0x1010, uint64(0x2FF0), "module list lies outside"},
		{"modules at nowhere", 0x1010, uint64(0), "module list lies outside"},
		{"too many modules", 0x100C, uint32(math.MaxUint32), "module list lies outside"},
		{"module outside", 0x1200, uint64(0x3000), "a module lies outside"},
		{"module that wraps", 0x1208, uint64(math.MaxUint64 - 0x1000), "a module lies outside"},
	} {
		t.Run(c.name, func(t *testing.T) {
			image := memtest.New(t, 0x3000)
			putPVH(image)
			image.Put(c.at, c.put)
			var h Handover
			if e := FromPVH(image.Memory(), 0x1000, &h); !strings.Contains(e, c.want) {
				t.Errorf("error %q, want %q in it", e, c.want)
			}
		})
	}
	image := memtest.New(t, 0x1030)
	putShort := func(version uint32) { image.Put(0x1000, uint32(pvhMagic), version) }
	putShort(1)
	for _, at := range []uint64{0x1000, 0x1029, 0x1030, math.MaxUint64 - 10} {
		var h Handover
		if e := FromPVH(image.Memory(), at, &h); !strings.Contains(e, "start info lies outside") {
			t.Errorf("at %#x: error %q", at, e)
		}
	}
}

func FuzzPVH(f *testing.F) {
	image := memtest.New(f, 0x3000)
	putPVH(image)
	whole := make([]byte, 0x400)
	for i := range whole {
		whole[i] = image.Memory().U8(0x1000 + uint64(i))
	}
	f.Add(uint64(0x1000), whole)
	f.Add(uint64(0x1000), whole[:60])
	f.Add(uint64(0x1001), whole)
	f.Fuzz(func(t *testing.T, at uint64, data []byte) {
		if len(data) > 1<<16 {
			return
		}
		image := memtest.New(t, 0x1000+uint64(len(data))+1)
		image.Put(0x1000, data)
		var h Handover
		FromPVH(image.Memory(), at, &h)
		checkInvariants(t, &h)
		h.Option("safe")
		h.Value("seed")
	})
}
