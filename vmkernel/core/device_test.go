package core

import (
	"testing"

	"keel/boot/acpi"
	"keel/boot/handover"
)

// TestOnlyDevicesAreGranted lays out a machine and asks for registers all over it.
func TestOnlyDevicesAreGranted(t *testing.T) {
	defer func(b handover.Handover, a acpi.Tables, bits uint) { boot, tables, physBits = b, a, bits }(boot, tables, physBits)
	boot, tables, physBits = handover.Handover{}, acpi.Tables{}, 40
	boot.NumRanges = 4
	boot.Ranges[0] = handover.Range{Base: 0x1000, Length: 0x9E000, Type: handover.Usable}
	boot.Ranges[1] = handover.Range{Base: 1 << 20, Length: 1<<30 - 1<<20, Type: handover.Usable}
	boot.Ranges[2] = handover.Range{Base: 0xE000_0000, Length: 0x1000_0000, Type: handover.Reserved}
	boot.Ranges[3] = handover.Range{Base: 4 << 30, Length: 1 << 30, Type: handover.Usable}
	tables.Has = acpi.HasHPET
	tables.HPET.Address = 0xFED0_0000
	tables.LocalAPIC = 0xFEE0_0000
	tables.NumIOAPICs, tables.IOAPICs[0].Address = 2, 0xFEC0_0000
	tables.IOAPICs[1].Address = 0xFB00_1000
	tables.NumECAMs = 1
	tables.ECAMs[0] = acpi.ECAM{Base: 0xE000_0000, EndBus: 0x7F}
	for _, c := range []struct {
		name  string
		pa, n uint64
		want  bool
	}{
		{"a NIC's", 0xFEB8_0000, 0x20000, true},
		{"above memory", 8 << 30, 0x4000, true},
		{"behind configuration space, reserved", 0xE800_0000, 0x1000, true},
		{"nothing", 0xFEB8_0000, 0, false},
		{"memory", 0x10_0000, 0x1000, false},
		{"memory, its last page", 1<<30 - 0x1000, 0x1000, false},
		{"into memory", 4<<30 - 0x1000, 0x2000, false},
		{"high memory", 5<<30 - 1, 1, false},
		{"over all memory", 1 << 20, 1 << 39, false},
		{"the first MiB", 0xA0000, 0x20000, false},
		{"local APIC", 0xFEE0_0000, 0x1000, false},
		{"where messages go", 0xFEE0_5000, 0x1000, false},
		{"into the local APIC", 0xFEDF_F000, 0x2000, false},
		{"IOAPIC", 0xFEC0_0000, 0x1000, false},
		{"an IOAPIC elsewhere", 0xFB00_0000, 0x2000, false},
		{"HPET", 0xFED0_0000, 0x400, false},
		{"configuration space", 0xE7FF_F000, 0x1000, false},
		{"beyond the processor", 1 << 40, 0x1000, false},
		{"to the end and over", 1<<40 - 0x1000, 0x2000, false},
		{"wrapping", ^uint64(0) - 0xFFF, 0x2000, false},
		{"all", lowRegisters, ^uint64(0), false},
	} {
		if got := mayGrant(c.pa, c.n); got != c.want {
			t.Errorf("%s, %#x bytes at %#x: %v", c.name, c.n, c.pa, got)
		}
	}
}

func TestConfigurationAccessesAreAligned(t *testing.T) {
	for _, c := range []struct {
		offset, size uint64
		want         bool
	}{
		{0, 4, true}, {2, 2, true}, {3, 1, true}, {4092, 4, true}, {2, 4, false}, {1, 2, false}, {4096, 1, false},
		{0, 8, false}, {0, 3, false}, {0, 0, false}, {^uint64(0), 1, false},
	} {
		if got := configAccess(0, c.offset, c.size); got != c.want {
			t.Errorf("%d bytes at %#x: %v", c.size, c.offset, got)
		}
	}
	if configAccess(1<<32, 0, 4) {
		t.Error("an address beyond all segments was taken")
	}
}

// TestConfigurationSpaceAndScreenAreApart: pixels that are drawn into a device's configuration space switch it off.
func TestConfigurationSpaceAndScreenAreApart(t *testing.T) {
	const widest = 1<<30 + 1<<32 // the offset of the first pixel, and more than any screen has
	if end := uint64(ecamArea) + acpi.MaxECAMs*ecamMax; uint64(screenArea)+widest > ecamArea && end > uint64(screenArea) {
		t.Errorf("pixels from %#x on reach configuration space at %#x", uint64(screenArea), uint64(ecamArea))
	}
}
