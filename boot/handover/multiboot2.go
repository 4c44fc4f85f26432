package handover

import "keel/boot/physmem"

// Multiboot2Magic is in EAX when a multiboot2 loader starts Keel (multiboot2 3.3).
const Multiboot2Magic = 0x36D7_6289

// Tags of the boot information (multiboot2 3.6).
const (
	tagEnd          = 0
	tagCommandLine  = 1
	tagModule       = 3
	tagBasicMemory  = 4
	tagMemoryMap    = 6
	tagFramebuffer  = 8
	tagEFI32System  = 11
	tagEFI64System  = 12
	tagOldRSDP      = 14
	tagNewRSDP      = 15
	tagEFIMemoryMap = 17
	tagEFIStillRuns = 18

	maxInfoSize = 16 << 20 // bytes; real ones have a few KiB
	maxTags     = 4096

	rsdpV1Size = 20 // ACPI 5.2.5.3
	rsdpV2Size = 36
)

// tags are the addresses of the tags of which one is enough, 0 where there is none. The first of
// a kind counts.
type tags struct {
	basic, plainMap, efiMap, oldRSDP, newRSDP uint64
}

// FromMultiboot2 fills h from the boot information at physical address info, which the loader
// passes in EBX. It gives "" or the line that says what is wrong with it; h is then filled in
// part. core: the boot stack, interrupts off.
func FromMultiboot2(mem physmem.Memory, info uint64, h *Handover) string {
	*h = Handover{}
	h.Protocol = Multiboot2
	h.Info = info
	if info%8 != 0 || !mem.Holds(info, 16) {
		return "multiboot2: the boot information is not aligned to 8 bytes or lies outside the memory that can be read"
	}
	size := uint64(mem.U32(info))
	if size < 16 || size > maxInfoSize || !mem.Holds(info, size) {
		return "multiboot2: the boot information's total size is impossible"
	}
	if !h.Reserve(0, lowEnd, LowMemory) || !h.Reserve(info, size, LoaderInfo) {
		return noRoomToReserve
	}
	var found tags
	if e := h.walkTags(mem, info, info+size, &found); e != "" {
		return e
	}
	if e := h.takeMap(mem, &found); e != "" {
		return e
	}
	return h.takeRSDP(mem, &found)
}

// walkTags reads what can be read in passing and notes where the rest is.
func (h *Handover) walkTags(mem physmem.Memory, info, end uint64, found *tags) string {
	at := info + 8
	for range maxTags {
		if end-at < 8 {
			return "multiboot2: the boot information has no end tag"
		}
		tag, size := mem.U32(at), uint64(mem.U32(at+4))
		if size < 8 || size > end-at {
			return "multiboot2: a tag's size is impossible"
		}
		if tag == tagEnd {
			return ""
		}
		if e := h.readTag(mem, tag, at, size, found); e != "" {
			return e
		}
		at += (size + 7) &^ 7
		if at > end {
			return "multiboot2: the boot information has no end tag"
		}
	}
	return "multiboot2: the boot information has more than 4096 tags"
}

// readTag handles the tag of size bytes, header included, at at.
func (h *Handover) readTag(mem physmem.Memory, tag uint32, at, size uint64, found *tags) string {
	switch tag {
	case tagCommandLine:
		if h.CommandLineLength == 0 {
			h.setCommandLine(mem, at+8, size-8)
		}
	case tagModule:
		if size < 16 {
			return "multiboot2: a module tag is too short"
		}
		return h.addModule(mem, uint64(mem.U32(at+8)), uint64(mem.U32(at+12)), at+16, size-16)
	case tagBasicMemory:
		first(&found.basic, at)
	case tagMemoryMap:
		first(&found.plainMap, at)
	case tagEFIMemoryMap:
		first(&found.efiMap, at)
	case tagOldRSDP:
		first(&found.oldRSDP, at)
	case tagNewRSDP:
		first(&found.newRSDP, at)
	case tagFramebuffer:
		h.readFramebuffer(mem, at, size)
	case tagEFI32System:
		h.EFI = true
		if size >= 12 {
			first(&h.EFISystem, uint64(mem.U32(at+8)))
		}
	case tagEFI64System:
		h.EFI = true
		if size >= 16 {
			first(&h.EFISystem, mem.U64(at+8))
		}
	case tagEFIStillRuns:
		return "multiboot2: the loader left UEFI's boot services running: start Keel without asking for them"
	}
	return ""
}

func first(slot *uint64, value uint64) {
	if *slot == 0 {
		*slot = value
	}
}

// takeRSDP notes the loader's copy of the RSDP (3.6.15, 3.6.16), the newer form where both are
// there. The copy stays where it is, so its page is reserved.
func (h *Handover) takeRSDP(mem physmem.Memory, found *tags) string {
	at, need := found.newRSDP, uint64(rsdpV2Size)
	if at == 0 {
		at, need = found.oldRSDP, rsdpV1Size
	}
	if at == 0 {
		return ""
	}
	if uint64(mem.U32(at+4)) < 8+need {
		return "multiboot2: the tag with ACPI's RSDP is too short"
	}
	h.RSDP = at + 8
	h.Notes |= NoteRSDPInTag
	if !h.Reserve(h.RSDP, need, RSDPCopy) {
		return noRoomToReserve
	}
	return ""
}

// readFramebuffer reads tag 8 (3.6.12). A description that contradicts itself is left out.
func (h *Handover) readFramebuffer(mem physmem.Memory, at, size uint64) {
	if h.Framebuffer.Kind != NoFramebuffer {
		return
	}
	f := &h.Framebuffer
	kind := mem.U8(at + 29)
	f.Address = mem.U64(at + 8)
	f.Pitch = mem.U32(at + 16)
	f.Width = mem.U32(at + 20)
	f.Height = mem.U32(at + 24)
	f.BitsPerPixel = mem.U8(at + 28)
	switch {
	case size < 31:
	case kind == 0:
		f.Kind = Indexed
	case kind == 1 && size >= 38:
		f.Kind = RGB
		f.RedPosition, f.RedSize = mem.U8(at+32), mem.U8(at+33)
		f.GreenPosition, f.GreenSize = mem.U8(at+34), mem.U8(at+35)
		f.BluePosition, f.BlueSize = mem.U8(at+36), mem.U8(at+37)
	case kind == 2:
		f.Kind = Text
	}
	if !f.consistent() {
		*f = Framebuffer{}
		h.Notes |= NoteFramebufferRejected
	}
}
