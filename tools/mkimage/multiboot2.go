package main

import "encoding/binary"

// The multiboot2 header, Multiboot2 Specification 2.0, section 3.1.
const (
	multiboot2Magic  = 0xE85250D6 // 3.1.2
	multiboot2Search = 32768      // 3.1.1: the header lies within this many bytes
	multiboot2Align  = 8          // 3.1.1
	multiboot2I386   = 0          // 3.1.2: entered in 32-bit protected mode

	headerTagEnd         = 0 // 3.1.3
	headerTagInformation = 1 // 3.1.5
	headerTagEntry       = 3 // 3.1.7
	headerTagFramebuffer = 5 // 3.1.10
	headerTagModuleAlign = 6 // 3.1.11
	headerTagOptional    = 1 // 3.1.3: a loader without it may go on

	infoCmdline     = 1 // 3.6.3
	infoModules     = 3 // 3.6.6
	infoMemoryMap   = 6 // 3.6.8
	infoFramebuffer = 8 // 3.6.12
	infoACPIOld     = 14
	infoACPINew     = 15
	infoEFIMap      = 17

	anySize      = 0 // 3.1.10: no preference
	bitsPerPixel = 32
)

// multiboot2Header returns the header of a kernel that is entered at entry, a
// physical address. There is no EFI boot services tag, so GRUB leaves boot
// services and enters in 32-bit mode without paging under UEFI as under BIOS.
func multiboot2Header(entry uint32) []byte {
	var h []byte
	word := func(vs ...uint32) {
		for _, v := range vs {
			h = binary.LittleEndian.AppendUint32(h, v)
		}
	}
	tag := func(kind, flags uint16, payload ...uint32) {
		h = binary.LittleEndian.AppendUint16(h, kind)
		h = binary.LittleEndian.AppendUint16(h, flags)
		word(uint32(8 + 4*len(payload)))
		word(payload...)
		for len(h)%multiboot2Align != 0 { // 3.1.3: tags are padded, the padding isn't in their size
			h = append(h, 0)
		}
	}

	word(multiboot2Magic, multiboot2I386, 0, 0) // length and checksum follow below
	tag(headerTagInformation, 0, infoCmdline, infoModules, infoMemoryMap)
	tag(headerTagInformation, headerTagOptional, infoFramebuffer, infoACPIOld, infoACPINew, infoEFIMap)
	tag(headerTagEntry, 0, entry)
	tag(headerTagFramebuffer, headerTagOptional, anySize, anySize, bitsPerPixel)
	tag(headerTagModuleAlign, 0)
	tag(headerTagEnd, 0)

	length := uint32(len(h))
	binary.LittleEndian.PutUint32(h[8:], length)
	var sum uint32 = multiboot2Magic
	sum += multiboot2I386 + length
	binary.LittleEndian.PutUint32(h[12:], -sum)
	return h
}
