// Package virtio is what paravirtual devices have in common: the transport over MMIO registers and the split virtqueue
// (virtio 1.2, whose section numbers comments give). Only non-transitional drivers are served: version 1, little-endian.
//
// The rules that it keeps: a device knows its queues and its configuration space, not how a driver reaches them; the
// transport knows registers, not what the device does. What lies in guest memory is hostile: rings and descriptors are
// read once into local copies, chains are bounded by the queue's size, every address goes through guestmem, and arithmetic
// on what a guest wrote can't wrap. A driver that breaks a rule finds the device in need of a reset (2.1.2), not a crash.
//
// Device models implement Device; the VM's board puts an MMIO on its bus. One mutex, the transport's, guards a device and
// its queues: all methods of Device are called with it held. An access allocates nothing.
package virtio
