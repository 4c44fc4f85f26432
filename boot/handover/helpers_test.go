package handover

import (
	"reflect"
	"testing"

	"keel/boot/physmem/memtest"
)

// checkInvariants asserts what every reader of a Handover relies on, however odd its source was.
func checkInvariants(t *testing.T, h *Handover) {
	t.Helper()
	if h.NumRanges > MaxRanges || h.NumModules > MaxModules || h.NumReservations > MaxReservations ||
		h.CommandLineLength > TextSize || h.ModuleTextLength > TextSize {
		t.Fatalf("a count exceeds its array: %d ranges, %d modules, %d reservations", h.NumRanges, h.NumModules, h.NumReservations)
	}
	end := uint64(0)
	for i := range h.Ranges[:h.NumRanges] {
		r := &h.Ranges[i]
		if r.Base < end || r.Length == 0 || r.Base%pageSize != 0 || r.Length%pageSize != 0 || r.End() > PhysicalLimit {
			t.Fatalf("range %d (%#x+%#x) is empty, unaligned, unsorted, overlapping or too high", i, r.Base, r.Length)
		}
		if i > 0 && r.Base == end && r.Type == h.Ranges[i-1].Type {
			t.Fatalf("ranges %d and %d touch and have one type: not merged", i-1, i)
		}
		end = r.End()
	}
	for _, m := range h.Modules[:h.NumModules] {
		if m.End < m.Start || m.TextOffset+m.TextLength > h.ModuleTextLength {
			t.Fatalf("module %+v is inside out", m)
		}
	}
	steps := 0
	for base, end := h.NextFree(0); end != 0; base, end = h.NextFree(end) {
		if !h.isUsable(base, end) || base >= end || base%pageSize != 0 || end%pageSize != 0 {
			t.Fatalf("NextFree gives %#x-%#x, which is not usable", base, end)
		}
		for _, r := range h.Reservations[:h.NumReservations] {
			if r.Base < end && base < r.End {
				t.Fatalf("NextFree gives %#x-%#x, which is reserved from %#x to %#x", base, end, r.Base, r.End)
			}
		}
		if steps++; steps > MaxRanges+2*MaxReservations {
			t.Fatal("NextFree does not end")
		}
	}
	if low := h.LowFree(2 * pageSize); low != 0 && (low%pageSize != 0 || !h.isUsable(low, low+2*pageSize)) {
		t.Fatalf("LowFree gives %#x", low)
	}
}

func ranges(h *Handover) []Range { return h.Ranges[:h.NumRanges] }

func moduleText(h *Handover, i int) string {
	m := h.Modules[i]
	return string(h.ModuleText[m.TextOffset:][:m.TextLength])
}

func isReserved(h *Handover, address uint64, why Why) bool {
	for _, r := range h.Reservations[:h.NumReservations] {
		if r.Why == why && r.Base <= address && address < r.End {
			return true
		}
	}
	return false
}

// TestHasNoPointers: the structure outlives the loader's page tables and is no business of the
// garbage collector's.
func TestHasNoPointers(t *testing.T) {
	var walk func(reflect.Type)
	walk = func(p reflect.Type) {
		switch p.Kind() {
		case reflect.Struct:
			for i := range p.NumField() {
				walk(p.Field(i).Type)
			}
		case reflect.Array:
			walk(p.Elem())
		case reflect.Pointer, reflect.Slice, reflect.String, reflect.Map, reflect.Interface, reflect.Func, reflect.Chan, reflect.UnsafePointer:
			t.Errorf("%v in a Handover", p)
		}
	}
	walk(reflect.TypeFor[Handover]())
}

// TestAllocatesNothing: there is no heap when this runs.
func TestAllocatesNothing(t *testing.T) {
	image := memtest.New(t, 0x10000)
	putPVH(image)
	mem := image.Memory()
	var h Handover
	if n := testing.AllocsPerRun(10, func() { FromPVH(mem, 0x1000, &h) }); n != 0 {
		t.Errorf("FromPVH allocates %v times", n)
	}
	image.Put(0x2000, info(sampleTags()...))
	if n := testing.AllocsPerRun(10, func() {
		FromMultiboot2(mem, 0x2000, &h)
		h.Value("seed")
		h.NextFree(0)
		h.LowFree(1)
	}); n != 0 {
		t.Errorf("FromMultiboot2 and its readers allocate %v times", n)
	}
}
