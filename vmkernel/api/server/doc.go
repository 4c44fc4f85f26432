// Package server serves Keel's API over a listener: it knows who asks (package door, vmkernel/auth), admits by the table
// of routes, records each call before it takes effect and after (vmkernel/audit), and has the rest of Keel do it.
//
// The rules: what isn't in the table isn't served. A call is refused before anything is done for it, or done as a whole.
// Everything has limits: sizes, times, calls at once, operations, what is kept for streams. What a caller may not know of
// isn't there for him (404), what he may not do is refused with the role that is missing (403), and no list is ever empty
// for want of a right. Nothing that a request holds is trusted, and nothing of it is repeated without being quoted.
//
// cmd/keel makes a Server of the parts that Config names, and gives it the listener of vmkernel/net. The package must not
// know the machine: it is tested on any host.
package server
