// Package audit is the log of every administrative act: who, from where, what, on what, with what result. It is a
// Merkle tree (RFC 6962, by golang.org/x/mod/sumdb/tlog) whose head the host signs, so that nothing in it can be
// edited, removed or put elsewhere unnoticed by a client that remembers an earlier head.
//
// The rules that it keeps: an intent is in the log before the act takes effect, and its outcome after; a record that a
// collector is to have is never dropped before the collector has confirmed it: acts are refused instead (pressure.go);
// memory stays within Budget whatever strangers, guests and administrators do; reads don't push out what was done
// (pressure.go); what can't be recorded one by one is counted (counted.go, refused.go); and the log itself says what it has
// dropped.
//
// A log lives as long as a boot and has that boot's id: nothing persists. After a restart a client finds a log with
// another id. Memory (memory.go) tells that apart from tampering, and says what can't be known any more.
//
// What it can't promise: a host that lies may leave out an act as it happens, or end its log by a restart; only what was
// remembered or sent before stands against it. A client that has remembered nothing believes the first head that it sees.
// Without a collector a log ends with its boot, the text of its oldest records goes once Budget is used up, and further
// reads are counted then. (Records are kept and dropped in runs: to drop a read from among acts would take a proof of its
// own for each act beside it. So it is the reads to come that give way, not those that are there.) A collector that has
// confirmed a record has read it; that it keeps it is its own affair.
//
// vmkernel/api calls Begin, End and Refuse, cmd/keel and vmkernel/vm call Event; cmd/keelctl uses Memory, Verify and
// the export format (export.go). It must never call back into those, and never hold its lock while it waits.
package audit
