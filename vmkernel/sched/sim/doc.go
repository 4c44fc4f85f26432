// Package sim simulates machines of any size under Keel's processor policy (package sched) and says
// what each group of worlds got, beside what it should have got.
//
// The rule: it is deterministic. The same scenario gives the same result on every machine, and the
// trace of all calls that it made can be replayed. tools/schedsim is its command; the policy's
// property tests are here, since they are statements on what a simulated machine does.
//
// Switching costs no time in it, and the only delay is that of an interprocessor interrupt.
package sim
