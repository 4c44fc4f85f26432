// Vmm is the smallest virtual machine monitor over Linux's KVM that runs test/guest/wake, and the /init of tools/peer's
// medium: the peer that Keel's latencies are compared with.
//
// It loads KVM's modules, measures on an idle host and beside a guest that keeps the processor busy, and prints
//
//	PEER idle 000004d2 000004d0 …
//	PEER saturated 000016b8 000016b2 …
//
// lines with the latencies, in ticks, and "PEER done" at the end or "PEER FAIL why". The rule that it keeps: as KVM's own
// defaults are, so is the guest; interrupt controllers and timer are the kernel's.
package main
