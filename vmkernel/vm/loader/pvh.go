package loader

import (
	"fmt"
	"math"

	"keel/vmkernel/vm/guestmem"
)

// Numbers of the PVH boot protocol (Xen docs/misc/pvh.pandoc, and
// xen/include/public/arch-x86/hvm/start_info.h and elfnote.h).
const (
	notePhys32Entry = 18 // XEN_ELFNOTE_PHYS32_ENTRY

	startInfoMagic   = 0x336EC578 // "xEn3" with the top bit of E set
	startInfoVersion = 1
	startInfoSize    = 56
	modlistSize      = 32 // an entry of the module list
	pvhMapSize       = 24 // an entry of the memory map
)

// pvhEntry returns the 32-bit physical entry point that a PVH note gives.
func (f *elfFile) pvhEntry() (entry uint64, found bool, err error) {
	for _, notes := range f.notes {
		// Notes are padded to 4 bytes or, in a segment aligned to 8, to 8,
		// and linkers mix the two up: the second is tried if the first fails.
		for _, align := range []uint64{4, 8} {
			desc, ok := findNote(notes, align, "Xen\x00", notePhys32Entry)
			if !ok {
				continue
			}
			switch len(desc) {
			case 4:
				entry = uint64(le.Uint32(desc))
			case 8:
				entry = le.Uint64(desc)
			default:
				return 0, false, fmt.Errorf("PVH note of %d bytes, not 4 or 8", len(desc))
			}
			return entry, true, nil
		}
	}
	return 0, false, nil
}

// findNote looks for a note by owner, with its NUL, and type (gABI chapter 5,
// "Note Section"). What can't be parsed ends the search.
func findNote(b []byte, align uint64, owner string, kind uint32) ([]byte, bool) {
	const header = 12
	pad := func(n uint64) uint64 { return (n + align - 1) &^ (align - 1) }
	for uint64(len(b)) >= header {
		nameSize, descSize, typ := uint64(le.Uint32(b)), uint64(le.Uint32(b[4:])), le.Uint32(b[8:])
		// The name's padding counts from the start of the note.
		descAt := pad(header + nameSize)
		name, ok1 := within(b, header, nameSize)
		desc, ok2 := within(b, descAt, descSize)
		if !ok1 || !ok2 {
			return nil, false
		}
		if typ == kind && string(name) == owner {
			return desc, true
		}
		next := descAt + pad(descSize)
		if next > uint64(len(b)) {
			return nil, false
		}
		b = b[next:]
	}
	return nil, false
}

// pvh boots an ELF kernel at the physical address entry.
func (j *job) pvh(f *elfFile, entry uint64) (Entry, error) {
	if entry > math.MaxUint32 || !f.inSegment(entry) {
		return Entry{}, fmt.Errorf("entry point %#x of the PVH note is in no loaded segment below 4 GiB", entry)
	}
	if _, err := j.loadELF(f); err != nil {
		return Entry{}, err
	}
	e, err := j.entry(FormatPVH, Protected32, entry)
	if err != nil {
		return Entry{}, err
	}
	e.RBX, err = j.startInfo()
	return e, err
}

// startInfo writes struct hvm_start_info and what it points to.
func (j *job) startInfo() (uint64, error) {
	// A 32-bit Linux maps only the first 896 MiB of memory for good.
	const lowmem = 896 << 20
	mods, err := j.putModules(
		request{low: firmwareEnd, high: lowmem, top: true},
		request{low: firmwareEnd, high: guestmem.HoleStart, top: true})
	if err != nil {
		return 0, err
	}
	var list []byte
	for _, m := range mods {
		list = le.AppendUint64(list, m.start)
		list = le.AppendUint64(list, m.size)
		list = le.AppendUint64(list, m.cmdline)
		list = le.AppendUint64(list, 0)
	}
	var modlist uint64
	if len(mods) > 0 {
		if modlist, err = j.putLow(list, 8, "module list"); err != nil {
			return 0, err
		}
	}
	cmdline, err := j.putString(j.img.Cmdline, "command line")
	if err != nil {
		return 0, err
	}
	var table []byte
	for _, m := range j.memmap {
		table = le.AppendUint64(table, m.Start)
		table = le.AppendUint64(table, m.Size)
		table = le.AppendUint32(table, m.Type)
		table = le.AppendUint32(table, 0)
	}
	memmap, err := j.putLow(table, 8, "memory map")
	if err != nil {
		return 0, err
	}
	var info []byte
	info = le.AppendUint32(info, startInfoMagic)
	info = le.AppendUint32(info, startInfoVersion)
	info = le.AppendUint32(info, 0) // flags
	info = le.AppendUint32(info, uint32(len(mods)))
	info = le.AppendUint64(info, modlist)
	info = le.AppendUint64(info, cmdline)
	info = le.AppendUint64(info, j.rsdp)
	info = le.AppendUint64(info, memmap)
	info = le.AppendUint32(info, uint32(len(j.memmap)))
	info = le.AppendUint32(info, 0) // reserved
	return j.putLow(info, 8, "start info")
}
