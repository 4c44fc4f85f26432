// Package intel is what Intel's gigabit Ethernet controllers of the 8254x family and their
// descendants have in common: registers, rings of legacy receive and extended transmit descriptors
// (PCI/PCI-X Family of Gigabit Ethernet Controllers Software Developer's Manual, "SDM" here; 82574
// Family Datasheet).
//
// The rule that it keeps: each descriptor is loaded once, what it says is checked, and a card that
// contradicts itself or doesn't go on is reset. Drivers e1000 and e1000e call it.
package intel
