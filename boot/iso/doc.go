// Package iso makes Keel's boot medium: an ISO 9660 image that boots from CD
// or, written to it as it is, from a USB stick, under BIOS and UEFI.
//
// The rule that it keeps: the medium holds GRUB, the kernel image and at most
// one seed; what GRUB does is all in grub.cfg. tools/mkiso calls it for
// `make image`, and tests call it for media of their own. It runs on the
// machine that builds Keel and is never part of the kernel.
package iso
