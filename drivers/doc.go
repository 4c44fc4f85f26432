// Package drivers holds the host's devices, a folder each, behind small interfaces (package nic's).
//
// The rule that they keep: what a device says is hostile. Lengths and indices from it are checked
// before they are used, shared memory is read once, every wait ends, and a device that contradicts
// itself is reset. A driver reaches its device only by what package pci's Host gives it, so that all
// of it is tested on any machine with a fake one; package metal is the Host of the bare machine.
package drivers
