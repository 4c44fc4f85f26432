// Package virtionet drives the network device of VIRTIO 1.0 and later over PCI (Virtual I/O Device
// Version 1.2, 4.1 and 5.1), "virtio" here.
//
// The rule that it keeps: what the device writes into rings is loaded once and checked against what
// it was given; a device that returns what it doesn't have, or more than fits, is reset. It needs no
// feature but VERSION_1 and MAC.
package virtionet
