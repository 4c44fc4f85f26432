//go:build !linux

package main

// limitAddresses does nothing: on the metal the lower half has limits.
func limitAddresses() error { return nil }
