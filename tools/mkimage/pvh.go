package main

import "encoding/binary"

// The PVH boot protocol's entry note: Xen's public/elfnote.h, XEN_ELFNOTE_PHYS32_ENTRY.
const (
	xenNotePhys32Entry = 18
	xenNoteName        = "Xen\x00"
	noteAlign          = 4
)

// pvhNote returns the ELF note with the physical address of the 32-bit entry.
// The description has 8 bytes, not 4: QEMU reads as many as the file's class
// has in an address.
func pvhNote(entry uint32) []byte {
	var n []byte
	n = binary.LittleEndian.AppendUint32(n, uint32(len(xenNoteName)))
	n = binary.LittleEndian.AppendUint32(n, 8)
	n = binary.LittleEndian.AppendUint32(n, xenNotePhys32Entry)
	n = append(n, xenNoteName...)
	return binary.LittleEndian.AppendUint64(n, uint64(entry))
}
