package handover

import "keel/boot/physmem"

// Module is a file that the loader put into memory: bytes [Start, End), End not below Start. Its
// command line is ModuleText[TextOffset:][:TextLength].
type Module struct {
	Start, End uint64
	TextOffset uint32
	TextLength uint32
}

const noRoomToReserve = "boot: more reserved pieces of memory than Keel can note: give it fewer modules"

// addModule enters a module of the loader's and reserves its memory. textLimit is the most that
// its command line at text can be long, in bytes; 0 means that it has none.
func (h *Handover) addModule(mem physmem.Memory, start, end, text, textLimit uint64) string {
	if h.NumModules >= MaxModules {
		h.Notes |= NoteModulesDropped
		return ""
	}
	if end < start || !mem.Holds(start, end-start) {
		return "boot: a module ends before it starts or lies outside the memory that can be read"
	}
	if !h.Reserve(start, end-start, ModuleData) {
		return noRoomToReserve
	}
	length, more := copyText(mem, text, textLimit, &h.ModuleText, h.ModuleTextLength)
	if more {
		h.Notes |= NoteTextTruncated
	}
	m := &h.Modules[h.NumModules]
	m.Start, m.End = start, end
	m.TextOffset, m.TextLength = h.ModuleTextLength, length
	h.ModuleTextLength += length
	h.NumModules++
	return ""
}
