package loader

import (
	"bytes"
	"fmt"
)

// wanted ends every error about a file whose format isn't known.
const wanted = "a kernel must be a Linux bzImage, an ELF file with a PVH note, or a multiboot (version 1) kernel"

// minKernel is the size below which no format's header fits: a multiboot
// header without address fields.
const minKernel = 12

// signatures are the beginnings of files that are often mistaken for kernels.
var signatures = []struct{ magic, what string }{
	{"\x1f\x8b", "gzip-compressed file"},
	{"\xfd7zXZ\x00", "xz-compressed file"},
	{"\x28\xb5\x2f\xfd", "zstd-compressed file"},
	{"BZh", "bzip2-compressed file"},
	{"\x02\x21\x4c\x18", "lz4-compressed file"},
	{"\x04\x22\x4d\x18", "lz4-compressed file"},
	{"\x5d\x00\x00", "lzma-compressed file"},
	{"MZ", "PE without Linux header"},
	{"070701", "cpio archive (an initrd?)"},
	{"!<arch>\n", "ar archive (a Debian package?)"},
	{"\x27\x05\x19\x56", "U-Boot image"},
}

// describe says what a file is that no boot protocol recognised.
func describe(b []byte) string {
	switch {
	case len(b) == 0:
		return "empty file"
	case len(b) < minKernel:
		return fmt.Sprintf("file too short: %d bytes", len(b))
	}
	for _, s := range signatures {
		if bytes.HasPrefix(b, []byte(s.magic)) {
			return s.what
		}
	}
	// Multiboot 2 specification 3.1.1: in the first 32 KiB, 8-byte aligned.
	for i := 0; i+16 <= min(len(b), 32<<10); i += 8 {
		h := b[i : i+16]
		if le.Uint32(h) == 0xE85250D6 && le.Uint32(h)+le.Uint32(h[4:])+le.Uint32(h[8:])+le.Uint32(h[12:]) == 0 {
			return "multiboot kernel of version 2 only"
		}
	}
	if len(b) >= 512 && le.Uint16(b[510:]) == 0xAA55 {
		return "boot sector without Linux header"
	}
	return fmt.Sprintf("unknown format, beginning with % x", b[:8])
}
