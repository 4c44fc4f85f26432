// Package dhcp gets the host an IPv4 address: a client of the Dynamic Host Configuration Protocol
// (RFC 2131, options of RFC 2132).
//
// The rule that it keeps: what comes from the network is hostile. Messages are parsed within bounds,
// answer a request of ours or are ignored, and what they give is checked before it is used. The client
// speaks whole Ethernet frames, so that it needs no address to get one; package net passes them.
package dhcp
