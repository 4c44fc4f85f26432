// Package guest builds what tests run on Keel: Linux programs that are a guest's /init, and
// bare-metal kernels of our own.
//
//   - workload: a stock Linux's /init that checks the machine it runs on, and ends it
//   - wake: a kernel of ours that measures how late a halted processor wakes
//   - bench: a stock Linux's /init that measures what the design's bars define
//   - metal: how a kernel of ours is entered, by multiboot and PVH
//   - hostile: a kernel that does all that a guest should not
//
// The rule that it keeps: equal source gives equal guests, and nothing of the host's is in them.
// Only tests call it.
package guest
