//go:build tamago

package main

// limitAddresses does nothing: TamaGo's programs are built for the metal only.
func limitAddresses() error { return nil }
