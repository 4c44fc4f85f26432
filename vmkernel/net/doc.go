// Package net is the host's own TCP/IP: gVisor's stack on one network card, with addresses from DHCP,
// router advertisements or the configuration, and DNS and SNTP as a client.
//
// The rule that it keeps: it answers ping and the TCP ports that Listen was called for, and forwards
// nothing. No guest is ever attached to it. cmd/keel makes the one Stack; the management endpoint
// listens on it.
package net
