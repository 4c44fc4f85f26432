package handover

import (
	"math"
	"math/rand/v2"
	"reflect"
	"testing"
)

func TestMemoryMap(t *testing.T) {
	type entry struct {
		base, length uint64
		t            MemoryType
	}
	for _, c := range []struct {
		name string
		in   []entry
		want []Range
	}{
		{"usable shrinks, reserved grows, in any order",
			[]entry{{0x9FC00, 0x400, Reserved}, {0, 0x9FC00, Usable}},
			[]Range{{0, 0x9F000, Usable}, {0x9F000, 0x1000, Reserved}}},
		{"touching ones of a type merge",
			[]entry{{0x3000, 0x1000, Usable}, {0x1000, 0x1000, Usable}, {0x2000, 0x1000, Usable}},
			[]Range{{0x1000, 0x3000, Usable}}},
		{"a hole is punched",
			[]entry{{0, 0x10000, Usable}, {0x4000, 0x1000, Bad}},
			[]Range{{0, 0x4000, Usable}, {0x4000, 0x1000, Bad}, {0x5000, 0xB000, Usable}}},
		{"a weaker one fills only the gaps",
			[]entry{{0x4000, 0x1000, Reserved}, {0x8000, 0x1000, ACPINonVolatile}, {0, 0x10000, Usable}},
			[]Range{{0, 0x4000, Usable}, {0x4000, 0x1000, Reserved}, {0x5000, 0x3000, Usable},
				{0x8000, 0x1000, ACPINonVolatile}, {0x9000, 0x7000, Usable}}},
		{"a stronger one swallows several",
			[]entry{{0x1000, 0x1000, Usable}, {0x3000, 0x1000, ACPIReclaimable}, {0, 0x8000, Reserved}},
			[]Range{{0, 0x8000, Reserved}}},
		{"less than a page of usable memory is none", []entry{{0x800, 0x1800, Usable}, {0x3001, 0xFFF, Usable}}, []Range{{0x1000, 0x1000, Usable}}},
		{"one byte reserved is a page", []entry{{0, 0x3000, Usable}, {0x1FFF, 1, Reserved}},
			[]Range{{0, 0x1000, Usable}, {0x1000, 0x1000, Reserved}, {0x2000, 0x1000, Usable}}},
		{"lengths that wrap are clipped", []entry{{PhysicalLimit - 0x2000, math.MaxUint64, Usable}, {PhysicalLimit - 1, math.MaxUint64, Reserved}},
			[]Range{{PhysicalLimit - 0x2000, 0x1000, Usable}, {PhysicalLimit - 0x1000, 0x1000, Reserved}}},
		{"what no processor can reach is ignored", []entry{{PhysicalLimit, 0x1000, Usable}, {math.MaxUint64, math.MaxUint64, Reserved}}, []Range{}},
		{"empty entries are ignored", []entry{{0x1000, 0, Reserved}}, []Range{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var h Handover
			for _, e := range c.in {
				if !h.addRange(e.base, e.length, e.t) {
					t.Fatalf("addRange(%#x, %#x, %v) failed", e.base, e.length, e.t)
				}
			}
			checkInvariants(t, &h)
			if !reflect.DeepEqual(ranges(&h), c.want) {
				t.Errorf("map = %v, want %v", ranges(&h), c.want)
			}
		})
	}
}

// TestMemoryMapAgainstPages compares with a model that keeps one type a page.
func TestMemoryMapAgainstPages(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		const pages = 80
		var h Handover
		var model [pages]MemoryType
		for range random.IntN(40) {
			base, n := random.IntN(pages), 1+random.IntN(20)
			n = min(n, pages-base)
			kind := MemoryType(1 + random.IntN(5))
			h.addRange(uint64(base)*pageSize, uint64(n)*pageSize, kind)
			for p := base; p < base+n; p++ {
				model[p] = max(model[p], kind)
			}
		}
		for range random.IntN(10) {
			base := random.IntN(pages)
			h.Reserve(uint64(base)*pageSize+uint64(random.IntN(pageSize)), 1+uint64(random.IntN(3*pageSize)), Other)
		}
		checkInvariants(t, &h)
		usable := uint64(0)
		for p, want := range model {
			got := MemoryType(0)
			if i := h.firstAbove(uint64(p) * pageSize); i < h.NumRanges && h.Ranges[i].Base <= uint64(p)*pageSize {
				got = h.Ranges[i].Type
			}
			if got != want {
				t.Fatalf("page %d is %v, want %v: %v", p, got, want, ranges(&h))
			}
			if want == Usable {
				usable += pageSize
			}
		}
		if h.UsableBytes() != usable {
			t.Fatalf("UsableBytes = %#x, want %#x", h.UsableBytes(), usable)
		}
		free := [pages]bool{}
		for base, end := h.NextFree(0); end != 0; base, end = h.NextFree(end) {
			for p := base / pageSize; p < end/pageSize; p++ {
				free[p] = true
			}
		}
		for p, kind := range model {
			want := kind == Usable
			for _, r := range h.Reservations[:h.NumReservations] {
				want = want && !(r.Base <= uint64(p)*pageSize && uint64(p)*pageSize < r.End)
			}
			if free[p] != want {
				t.Fatalf("page %d is free: %v, want %v", p, free[p], want)
			}
		}
	}
}

// A map with too many ranges loses its smallest usable pieces, never a reserved one.
func TestFullMapGivesUpSmallUsableRanges(t *testing.T) {
	var h Handover
	h.addRange(0x4000_0000, 0x4000_0000, Usable)
	for i := range uint64(100) {
		h.addRange(0x1000_0000+i*0x10000, 0x2000, Usable)
		h.addRange(0x1000_0000+i*0x10000+0x4000, 0x1000, Reserved)
	}
	h.addRange(0x1000_0000, 0x80_0000, Usable) // under all of it: must not free what is reserved
	checkInvariants(t, &h)
	reserved := 0
	for _, r := range ranges(&h) {
		if r.Type == Reserved {
			reserved++
		}
	}
	if reserved != 100 || h.Notes&NoteRangesDropped == 0 || h.BytesDropped == 0 {
		t.Errorf("%d reserved ranges of 100, notes %b, %#x bytes dropped", reserved, h.Notes, h.BytesDropped)
	}
	if !h.isUsable(0x4000_0000, 0x8000_0000) {
		t.Error("the largest usable range was given up")
	}
}

// In a full map a larger usable range takes the place of the smallest, and a smaller one is left out.
func TestFullMapKeepsTheLargerUsableRange(t *testing.T) {
	var h Handover
	for i := range uint64(MaxRanges - 1) {
		h.addRange(i*0x2000, 0x1000, Reserved)
	}
	h.addRange(0x1000_0000, 0x3000, Usable)
	h.addRange(0x2000_0000, 0x2000, Usable)
	if !h.isUsable(0x1000_0000, 0x1000_3000) || h.BytesDropped != 0x2000 {
		t.Errorf("after a smaller one: %#x usable, %#x dropped", h.UsableBytes(), h.BytesDropped)
	}
	h.addRange(0x800_0000, 0x4000, Usable)
	if !h.isUsable(0x800_0000, 0x800_4000) || h.BytesDropped != 0x5000 || h.UsableBytes() != 0x4000 {
		t.Errorf("after a larger one: %#x usable, %#x dropped", h.UsableBytes(), h.BytesDropped)
	}
	checkInvariants(t, &h)
}

func TestMapFullOfReservedRangesIsRefused(t *testing.T) {
	var h Handover
	for i := range uint64(MaxRanges) {
		if !h.addRange(i*0x2000, 0x1000, Reserved) {
			t.Fatalf("range %d is refused", i)
		}
	}
	if h.addRange(MaxRanges*0x2000, 0x1000, Reserved) {
		t.Error("a reserved range that doesn't fit is accepted")
	}
	if !h.addRange(MaxRanges*0x2000, 0x1000, Usable) || h.BytesDropped != 0x1000 {
		t.Error("a usable range that doesn't fit is not dropped")
	}
}

func TestTop(t *testing.T) {
	var h Handover
	h.addRange(0, 0x1000_0000, Usable)
	h.addRange(0x1000_0000, 0x1000, ACPIReclaimable)
	h.addRange(0xFFFC_0000, 0x4_0000, Reserved)
	if got := h.Top(); got != 0x1000_1000 {
		t.Errorf("Top = %#x", got)
	}
}

func TestReservationsAreLimited(t *testing.T) {
	var h Handover
	for range MaxReservations {
		if !h.Reserve(0x1800, 0x1000, Other) {
			t.Fatal("refused too early")
		}
	}
	if h.Reservations[0].Base != 0x1000 || h.Reservations[0].End != 0x3000 {
		t.Errorf("not widened to pages: %+v", h.Reservations[0])
	}
	if h.Reserve(0x1000, 1, Other) {
		t.Error("one too many is accepted")
	}
	if !h.Reserve(0x1000, 0, Other) {
		t.Error("an empty one is refused")
	}
}

func TestLowFreeAvoidsWhatTheLoaderPutThere(t *testing.T) {
	var h Handover
	h.addRange(0, 0x9F000, Usable)
	h.Reserve(0, lowEnd, LowMemory)
	if got := h.LowFree(0x1000); got != 0x1000 {
		t.Errorf("LowFree = %#x, want page 1", got)
	}
	h.Reserve(0x1000, 0x4001, ModuleData)
	h.Reserve(0x7000, 0x1000, LoaderInfo)
	for _, c := range []struct{ size, want uint64 }{{1, 0x6000}, {0x1000, 0x6000}, {0x1001, 0x8000}, {0x97000, 0x8000}, {0x97001, 0}, {math.MaxUint64, 0}} {
		if got := h.LowFree(c.size); got != c.want {
			t.Errorf("LowFree(%#x) = %#x, want %#x", c.size, got, c.want)
		}
	}
}
