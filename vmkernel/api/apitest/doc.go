// Package apitest is a host without a machine, for tests of both ends of the API: VMs, a host, and what a server needs
// beside them, with trust, audit log and image store that are the real ones; and a host of an older release (Older).
//
// The rule: it knows package backend, which the server calls, and not the server, whose own tests use it as well. What is
// behind the API behaves as the real thing does where a caller can tell: states and their conflicts, revisions, consoles
// that answer. Tests alone import it: those of vmkernel/api/server and of cmd/keelctl.
package apitest
