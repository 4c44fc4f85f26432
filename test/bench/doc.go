// Package bench measures the bars of the design in Bochs, where a tick is an instruction and every
// run is the same, and fails where one that Keel must hold is broken. `make bench` runs it; it prints
// Go's benchmark format.
package bench
