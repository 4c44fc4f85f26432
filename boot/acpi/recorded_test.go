package acpi

import (
	"testing"

	"keel/boot/physmem/memtest"
)

const recordings = "../physmem/memtest/testdata/"

// TestRecordedMachines reads real firmware's tables (testdata/README.md says which). The values are
// those that ACPICA's disassembler shows.
func TestRecordedMachines(t *testing.T) {
	const common = HasMADT | HasFADT | HasHPET | HasS5 | HasPMTimer | Has8259
	for _, c := range []struct {
		name           string
		size           uint64
		rsdp, root     uint64
		has            Has
		cpus, disabled uint32
		tables         uint32
		control, timer uint64
		reset          uint64
		ecam           uint64
		scan           uint64 // where a search finds the RSDP: the loader's copy is not there
		sciLow         bool
	}{
		{"qemu-pvh", 64 << 20, 0xF59D0, 0x3FE1C78, common, 4, 2, 6, 0x604, 0x608, 0, 0, 0xF59D0, false},
		{"qemu-grub-bios", 128 << 20, 0x1007A8, 0x7FE2308, common | HasMCFG | HasReset, 2, 0, 7, 0x604, 0x608, 0xCF9, 0xB0000000, 0, false},
		{"qemu-grub-uefi", 256 << 20, 0x64A8, 0xF77C0E8, common | HasMCFG | HasReset | HasXSDT, 2, 0, 8, 0x604, 0x608, 0xCF9, 0xB0000000, 0, false},
		{"bochs-grub-bios", 128 << 20, 0x100448, 0x7FF0000, common, 2, 0, 6, 0xB004, 0xB008, 0, 0, 0, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			image := memtest.New(t, c.size)
			image.Load(recordings + c.name + ".mem.gz")
			var tables Tables
			if e := Parse(image.Memory(), c.rsdp, &tables); e != "" {
				t.Fatal(e)
			}
			checkInvariants(t, image, &tables)
			if tables.Has != c.has || tables.Root != c.root || tables.NumTables != c.tables || tables.NumBad != 0 {
				t.Errorf("has %b, root %#x, %d tables, %d bad", tables.Has, tables.Root, tables.NumTables, tables.NumBad)
			}
			if tables.NumCPUs != c.cpus || tables.CPUsDisabled != c.disabled || tables.CPUs[c.cpus-1].APICID != c.cpus-1 {
				t.Errorf("processors %+v, %d disabled", tables.CPUs[:tables.NumCPUs], tables.CPUsDisabled)
			}
			if tables.NumIOAPICs != 1 || tables.IOAPICs[0].Address != 0xFEC00000 || tables.LocalAPIC != 0xFEE00000 {
				t.Errorf("IOAPICs %+v, local APIC %#x", tables.IOAPICs[:tables.NumIOAPICs], tables.LocalAPIC)
			}
			if gsi, low, level := tables.ISA(0); gsi != 2 || low || level {
				t.Errorf("the PIT's interrupt: GSI %d, low %v, level %v", gsi, low, level)
			}
			if gsi, low, level := tables.ISA(9); gsi != 9 || low != c.sciLow || !level {
				t.Errorf("ACPI's interrupt: GSI %d, low %v, level %v", gsi, low, level)
			}
			f := &tables.FADT
			if f.PM1aControl != (Register{Address: c.control, Space: InPorts, Width: 16}) ||
				f.PMTimer != (Register{Address: c.timer, Space: InPorts, Width: 32}) || f.Flags&PMTimer32Bits != 0 ||
				f.ResetRegister.Address != c.reset || f.SleepTypeA != 0 || f.SCI != 9 || f.SMICommand != 0xB2 {
				t.Errorf("FADT %+v", f)
			}
			if tables.HPET.Address != 0xFED00000 || tables.HPET.ID>>16 != 0x8086 {
				t.Errorf("HPET %+v", tables.HPET)
			}
			if tables.ECAMs[0].Base != c.ecam {
				t.Errorf("ECAM %+v", tables.ECAMs[0])
			}
			if got := FindRSDP(image.Memory()); got != c.scan {
				t.Errorf("a search finds %#x", got)
			}
		})
	}
}
