package core

import (
	"testing"

	"keel/boot/acpi"
)

// TestProcessorsAreOfTheNodeOfTheirDomain: what the SRAT doesn't name, or puts where no memory is, is node 0's.
func TestProcessorsAreOfTheNodeOfTheirDomain(t *testing.T) {
	testFrames(t, 8, 0, 4)
	nodes[1].domain = 9
	var tables acpi.Tables
	tables.NumCPUDomains = uint32(copy(tables.CPUDomains[:], []acpi.CPUDomain{{APICID: 0, Domain: 9}, {APICID: 300, Domain: 0}, {APICID: 4, Domain: 5}, {APICID: 6, Domain: 9}}))
	for id, want := range map[uint32]uint8{0: 1, 300: 0, 4: 0, 6: 1, 8: 0} {
		if got := nodeOfCPU(&tables, id); got != want {
			t.Errorf("the processor with APIC ID %d is of node %d, want %d", id, got, want)
		}
	}
}
