//go:build tamago

package main

// limitAddresses does nothing: TamaGo's programs are built for the metal only.
func limitAddresses() error { return nil }

// givesBack is whether the runtime gives memory back that its heap has had: TamaGo's only uses it again.
const givesBack = false

// step is a call where a loop can be pre-empted, which TamaGo's runtime needs.
//
//go:noinline
func step() {
	var frame [16]byte
	use(&frame)
}

//go:noinline
func use(*[16]byte) {}
