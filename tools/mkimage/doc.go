// Mkimage turns the program that the Go linker made into a kernel image that
// boot loaders know how to start.
//
//	go run ./tools/mkimage [-ca ca.pem [-minimum 7]] [-revoked revoked.json] -o build/keel.elf build/keel.raw
//
// The image is the same program with two descriptions of its 32-bit entry
// added to the slack that the linker leaves in the first page:
//
//   - an ELF note of the type that the PVH boot protocol reads, for
//     `qemu-system-x86_64 -kernel` and other virtual machine monitors;
//   - a multiboot2 header, for GRUB under BIOS and UEFI.
//
// And the last segment takes less memory: the kernel backs the end of its zeroed
// variables, which hardly anything uses, when it is touched (see trimTail).
//
// The image also learns when it was built, which operator CAs sign its seeds,
// and which certificates it never believes, even with an old seed: that goes into the variable that package vmkernel/auth/builtin keeps.
//
// The rule that it keeps: no other byte of code or data changes. Only the first
// page and that variable are written, and what follows the last loaded byte
// (symbols, debug data) is cut off. `make image` calls it; equal inputs give
// equal images.
package main
