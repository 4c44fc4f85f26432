// Package balloon is the memory balloon of virtio 1.2 (5.5): the device through which a guest gives pages back and takes
// them again, reports pages that are free, and says how it gets along with what it has.
//
// The rules that it keeps: the guest decides which pages, the host how many, and a guest that doesn't answer loses nothing
// and gains nothing. Pages are given back to a Host by ranges that lie in the guest's RAM. What the guest says of itself is
// a Stats that nothing relies on. Work for one access is bounded by the queue's size and MaxPages.
//
// The VM's board makes one and puts its transport on the bus; the VM manager sets targets and asks for statistics.
package balloon
