// Keel's kernel: wires the halves together and nothing else.
//
// The rule that it keeps: the host comes up, whatever it was given. What is wrong with the seed or
// with a VM is one line of the log, `ready` comes before any VM, and the host stays up without VMs
// unless its seed says that it switches itself off when idle. Nothing waits for the network, and a fault of the
// management's takes no VM with it.
//
// The lower half starts it when the Go runtime runs on all processors. It must never hold policy of
// its own.
package main
