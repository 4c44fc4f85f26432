package cpumodel

import (
	"flag"
	"fmt"
	"math/bits"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"keel/vmkernel/sys"
)

var update = flag.Bool("update", false, "write the golden files anew")

// everything is a host that has every bit of every leaf.
func everything(leaf, sub uint32) (a, b, c, d uint32) {
	switch leaf {
	case 0:
		return 0x20, ^uint32(0), ^uint32(0), ^uint32(0)
	case 0x8000_0000:
		return 0x8000_0021, ^uint32(0), ^uint32(0), ^uint32(0)
	}
	return ^uint32(0), ^uint32(0), ^uint32(0), ^uint32(0)
}

// first is a host with the first 64-bit processors' features only.
func first(leaf, sub uint32) (a, b, c, d uint32) {
	switch leaf {
	case 0:
		return 5, 0, 0, 0
	case 1:
		return 0, 0, 1, 0x0FFF_FBFF
	case 0x8000_0000:
		return 0x8000_0008, 0, 0, 0
	case 0x8000_0001:
		return 0, 0, 0, 1<<11 | 1<<20 | 1<<29
	case 0x8000_0008:
		return 0x3024, 0, 0, 0
	}
	if leaf&0x8000_0000 == 0 {
		return 0, 0xFFFF_FFFF, 0xFFFF_FFFF, 0xFFFF_FFFF // what real ones do past the last leaf
	}
	return
}

func dump(entries []sys.CPUIDEntry) string {
	var b strings.Builder
	for _, e := range entries {
		leaf := fmt.Sprintf("%08x", e.Leaf)
		if e.Indexed != 0 {
			leaf += fmt.Sprintf(".%d", e.Subleaf)
		}
		fmt.Fprintf(&b, "%-10s  %08x %08x %08x %08x\n", leaf, e.EAX, e.EBX, e.ECX, e.EDX)
	}
	return b.String()
}

func TestModelIsWhatWasDeclared(t *testing.T) {
	for _, c := range []struct {
		name string
		virt uint64
		host func(leaf, sub uint32) (a, b, c, d uint32)
		cpus int
		hz   uint64
	}{
		{"intel-full-4", sys.VirtVTX, everything, 4, 3_500_000_000},
		{"intel-first-1", sys.VirtVTX, first, 1, 80_000_000},
		{"amd-full-3", sys.VirtAMDV, everything, 3, 2_400_000_000},
		{"amd-first-1", sys.VirtAMDV, first, 1, 2_000_000_000},
	} {
		t.Run(c.name, func(t *testing.T) {
			entries, _ := Build(c.virt, c.host, c.cpus, c.hz)
			got := dump(entries)
			file := filepath.Join("testdata", c.name+".txt")
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("the model has changed (run with -update if it should):\n%s\nwant\n%s", got, want)
			}
		})
	}
}

// allowed is, independently of the table, all that may ever be offered of the feature registers.
var allowed = map[[2]uint32]map[Register]uint32{
	{1, 0}: {
		ECX: 1<<0 | 1<<1 | 1<<9 | 1<<12 | 1<<13 | 1<<17 | 1<<19 | 1<<20 | 1<<21 | 1<<22 | 1<<23 | 1<<24 |
			1<<25 | 1<<26 | 1<<28 | 1<<29 | 1<<30 | 1<<31, // not 27: OSXSAVE is the lower half's
		EDX: 1<<0 | 1<<2 | 1<<3 | 1<<4 | 1<<5 | 1<<6 | 1<<8 | 1<<9 | 1<<11 | 1<<13 | 1<<15 | 1<<16 | 1<<17 |
			1<<19 | 1<<23 | 1<<24 | 1<<25 | 1<<26 | 1<<28,
	},
	{6, 0}: {EAX: 1 << 2},
	{7, 0}: {
		EBX: 1<<0 | 1<<1 | 1<<3 | 1<<5 | 1<<7 | 1<<8 | 1<<9 | 1<<10 | 1<<18 | 1<<19 | 1<<20 | 1<<23 | 1<<29,
		ECX: 1 << 2,
		EDX: 1<<4 | 1<<10,
	},
	{0xD, 0}:         {EAX: 7},
	{0xD, 1}:         {EAX: 1},
	{0x4000_0001, 0}: {EAX: 1<<0 | 1<<3 | 1<<24},
	{0x8000_0001, 0}: {
		ECX: 1<<0 | 1<<1 | 1<<5 | 1<<8,
		EDX: 1<<11 | 1<<20 | 1<<26 | 1<<27 | 1<<29 | 0x0183_F3FF&^(1<<1|1<<7|1<<12|1<<14|1<<10),
	},
	{0x8000_0007, 0}: {EDX: 1 << 8},
	{0x8000_0008, 0}: {},
}

func TestNothingIsOfferedThatIsNotOnTheList(t *testing.T) {
	for _, virt := range []uint64{sys.VirtVTX, sys.VirtAMDV} {
		entries, _ := Build(virt, everything, 8, 3_000_000_000)
		for _, e := range entries {
			regs, ok := allowed[[2]uint32{e.Leaf, e.Subleaf}]
			if !ok {
				continue
			}
			for r, v := range [4]uint32{e.EAX, e.EBX, e.ECX, e.EDX} {
				mask, listed := regs[Register(r)]
				switch {
				case e.Leaf == 1 && r <= int(EBX), e.Leaf == 0x8000_0001 && r == int(EAX),
					e.Leaf == 0xD && r != int(EAX), e.Leaf == 0x8000_0008 && (r == int(EAX) || r == int(ECX)):
					continue // numbers, not features
				case !listed && v != 0:
					t.Errorf("leaf %#x %v = %#x: nothing is offered there", e.Leaf, Register(r), v)
				case v&^mask != 0:
					t.Errorf("leaf %#x.%d %v offers %#x beyond the list", e.Leaf, e.Subleaf, Register(r), v&^mask)
				}
			}
		}
	}
}

func TestNothingIsOfferedThatTheHostLacks(t *testing.T) {
	for _, f := range features {
		without := func(leaf, sub uint32) (uint32, uint32, uint32, uint32) {
			var r [4]uint32
			r[0], r[1], r[2], r[3] = everything(leaf, sub)
			if leaf == f.Leaf && sub == f.Sub {
				r[f.Reg] &^= 1 << f.Bit
			}
			return r[0], r[1], r[2], r[3]
		}
		for _, virt := range []uint64{sys.VirtVTX, sys.VirtAMDV} {
			entries, _ := Build(virt, without, 2, 3_000_000_000)
			e := find(entries, f.Leaf, f.Sub)
			has := e != nil && [4]uint32{e.EAX, e.EBX, e.ECX, e.EDX}[f.Reg]>>f.Bit&1 != 0
			if has != (f.Origin == Always) {
				t.Errorf("%s: offered %v to a host without it", f.Name, has)
			}
		}
	}
}

func TestDependentFeaturesGoTogether(t *testing.T) {
	noAVXState := func(leaf, sub uint32) (a, b, c, d uint32) {
		if leaf == 0xD && sub == 0 {
			return 3, 576, 576, 0
		}
		return everything(leaf, sub)
	}
	entries, _ := Build(sys.VirtVTX, noAVXState, 1, 3_000_000_000)
	if e := find(entries, 1, 0); e.ECX&(1<<28|1<<12|1<<29) != 0 || e.ECX&(1<<26) == 0 {
		t.Errorf("leaf 1 ECX %#x: AVX, FMA and F16C need its state, XSAVE doesn't", e.ECX)
	}
	if e := find(entries, 7, 0); e.EBX&(1<<5) != 0 {
		t.Error("AVX2 without AVX")
	}
	if e := find(entries, 0xD, 0); e.EAX != 3 || e.ECX != 576 {
		t.Errorf("leaf 0DH: XCR0 %#x, size %d", e.EAX, e.ECX)
	}
	if find(entries, 0xD, 2) != nil {
		t.Error("leaf 0DH describes AVX state")
	}
}

func TestEveryNeedIsAFeatureBefore(t *testing.T) {
	seen := map[string]bool{"": true}
	for _, f := range features {
		if !seen[f.Needs] {
			t.Errorf("%s needs %s, which is not above it", f.Name, f.Needs)
		}
		if seen[f.Name] {
			t.Errorf("%s is there twice", f.Name)
		}
		seen[f.Name] = true
	}
}

func TestTableFitsAndIsInOrder(t *testing.T) {
	for _, virt := range []uint64{sys.VirtVTX, sys.VirtAMDV} {
		for cpus := 1; cpus <= sys.MaxVCPUs; cpus++ {
			entries, _ := Build(virt, everything, cpus, 5_000_000_000)
			if len(entries) > sys.MaxCPUIDEntries {
				t.Errorf("%d entries, %d fit", len(entries), sys.MaxCPUIDEntries)
			}
			if !slices.IsSortedFunc(entries, func(a, b sys.CPUIDEntry) int {
				if a.Leaf != b.Leaf {
					return int(int64(a.Leaf) - int64(b.Leaf))
				}
				return int(a.Subleaf) - int(b.Subleaf)
			}) {
				t.Error("out of order:\n" + dump(entries))
			}
		}
	}
}

// Linux 6.1, native_calibrate_tsc: 32-bit arithmetic in kHz.
func TestLinuxFindsTheFrequency(t *testing.T) {
	for _, hz := range []uint64{80_000_000, 1_000_000_000, 3_499_999_999, 4_294_967_295, 4_294_967_296, 5_700_000_001, 9_000_000_000} {
		entries, kvmclock := Build(sys.VirtVTX, everything, 2, hz)
		e := find(entries, 0x15, 0)
		if kvmclock || e == nil || e.ECX == 0 || e.EAX == 0 {
			t.Fatalf("%d Hz: leaf 15H %+v, kvmclock %v", hz, e, kvmclock)
		}
		khz := uint64(e.ECX / 1000 * e.EBX / e.EAX)
		if diff := int64(khz) - int64(hz/1000); diff < -4 || diff > 4 {
			t.Errorf("%d Hz: Linux takes it for %d kHz", hz, khz)
		}
		if hz < 1<<32 && uint64(e.ECX) != hz {
			t.Errorf("%d Hz: crystal %d, but the local APIC runs with the TSC", hz, e.ECX)
		}
	}
	entries, kvmclock := Build(sys.VirtAMDV, everything, 2, 2_000_000_000)
	if e := find(entries, 0x4000_0001, 0); !kvmclock || e == nil || e.EAX&8 == 0 {
		t.Error("AMD-V without kvmclock")
	}
	if find(entries, 0x15, 0) != nil {
		t.Error("AMD-V with leaf 15H")
	}
}

func TestTopologyCountsTheProcessors(t *testing.T) {
	for cpus := 1; cpus <= 8; cpus++ {
		shift := uint32(bits.Len(uint(cpus - 1)))
		for _, virt := range []uint64{sys.VirtVTX, sys.VirtAMDV} {
			entries, _ := Build(virt, everything, cpus, 1_000_000_000)
			if e := find(entries, 0xB, 1); e.EAX != shift || e.EBX != uint32(cpus) || e.ECX != 0x201 {
				t.Errorf("%d processors: leaf 0BH.1 %+v", cpus, e)
			}
			if e := find(entries, 0xB, 0); e.EAX != 0 || e.EBX != 1 || e.ECX != 0x100 {
				t.Errorf("%d processors: leaf 0BH.0 %+v", cpus, e)
			}
			one := find(entries, 1, 0)
			if htt := one.EDX>>28&1 != 0; htt != (cpus > 1) || one.EBX>>16&0xFF < uint32(cpus) {
				t.Errorf("%d processors: leaf 1 EBX %#x EDX %#x", cpus, one.EBX, one.EDX)
			}
			if ecx := find(entries, 0x8000_0008, 0).ECX; virt == sys.VirtAMDV && ecx != shift<<12|uint32(cpus-1) {
				t.Errorf("%d processors: leaf 80000008H ECX %#x", cpus, ecx)
			}
		}
	}
}

func find(entries []sys.CPUIDEntry, leaf, sub uint32) *sys.CPUIDEntry {
	for i := range entries {
		if e := &entries[i]; e.Leaf == leaf && (e.Indexed == 0 || e.Subleaf == sub) {
			return e
		}
	}
	return nil
}
