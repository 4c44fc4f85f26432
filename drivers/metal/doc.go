// Package metal is pci.Host on the bare machine: what the lower half gives by package sys's calls.
//
// The rule that it keeps: it touches only what it was granted, each register by one access of its size.
package metal
