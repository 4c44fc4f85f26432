package handover

import "keel/boot/physmem"

// struct hvm_start_info (Xen: x86/HVM direct boot ABI), little-endian.
const (
	pvhMagic = 0x336E_C578 // "xEn3" with the E's top bit set

	pvhSizeV0      = 40
	pvhSizeV1      = 56
	pvhVersion     = 4
	pvhModuleCount = 12
	pvhModuleList  = 16
	pvhCommandLine = 24
	pvhRSDP        = 32
	pvhMapAddress  = 40
	pvhMapCount    = 48
	pvhModuleEntry = 32 // address, size, command line, reserved: 8 bytes each
	pvhMapEntry    = 24 // address, size: 8 bytes each; type, reserved: 4
)

const pvhOutside = "PVH: the start info lies outside the memory that can be read"

// FromPVH fills h from the hvm_start_info at physical address info, which the loader passes in
// EBX. It gives "" or the line that says what is wrong with it; h is then filled in part. core:
// the boot stack, interrupts off.
func FromPVH(mem physmem.Memory, info uint64, h *Handover) string {
	*h = Handover{}
	h.Protocol = PVH
	h.Info = info
	if !mem.Holds(info, pvhSizeV0) {
		return pvhOutside
	}
	if mem.U32(info) != pvhMagic {
		return "PVH: the start info does not begin with its magic number"
	}
	if mem.U32(info+pvhVersion) == 0 {
		return "PVH: version 0 of the start info has no memory map: use a loader that gives version 1"
	}
	if !mem.Holds(info, pvhSizeV1) {
		return pvhOutside
	}
	h.RSDP = mem.U64(info + pvhRSDP)
	if !h.Reserve(0, lowEnd, LowMemory) || !h.Reserve(info, pvhSizeV1, LoaderInfo) {
		return noRoomToReserve
	}
	if text := mem.U64(info + pvhCommandLine); text != 0 {
		if !mem.Holds(text, 1) {
			return "PVH: the command line lies outside the memory that can be read"
		}
		h.setCommandLine(mem, text, TextSize+1)
	}
	if e := h.pvhMap(mem, mem.U64(info+pvhMapAddress), mem.U32(info+pvhMapCount)); e != "" {
		return e
	}
	return h.pvhModules(mem, mem.U64(info+pvhModuleList), mem.U32(info+pvhModuleCount))
}

func (h *Handover) pvhMap(mem physmem.Memory, at uint64, count uint32) string {
	if count > maxLoaderEntries {
		return tooManyEntries
	}
	if at == 0 || !mem.Holds(at, uint64(count)*pvhMapEntry) {
		return "PVH: the memory map lies outside the memory that can be read"
	}
	for i := uint64(0); i < uint64(count); i++ {
		e := at + i*pvhMapEntry
		if !h.addRange(mem.U64(e), mem.U64(e+8), fromE820(mem.U32(e+16))) {
			return mapIsFull
		}
	}
	return h.checkMap()
}

func (h *Handover) pvhModules(mem physmem.Memory, at uint64, count uint32) string {
	if count == 0 {
		return ""
	}
	if at == 0 || count > maxLoaderEntries || !mem.Holds(at, uint64(count)*pvhModuleEntry) {
		return "PVH: the module list lies outside the memory that can be read"
	}
	if !h.Reserve(at, uint64(count)*pvhModuleEntry, LoaderInfo) {
		return noRoomToReserve
	}
	for i := uint64(0); i < uint64(count); i++ {
		e := at + i*pvhModuleEntry
		start, size, text := mem.U64(e), mem.U64(e+8), mem.U64(e+16)
		if !mem.Holds(start, size) {
			return "PVH: a module lies outside the memory that can be read"
		}
		limit := uint64(0)
		if text != 0 {
			limit = TextSize + 1
		}
		if e := h.addModule(mem, start, start+size, text, limit); e != "" {
			return e
		}
	}
	return ""
}
