package loader

import (
	"errors"
	"fmt"

	"keel/vmkernel/vm/guestmem"
)

// Numbers of the Multiboot Specification, version 0.6.96, sections 3.1 to 3.4.
const (
	mbHeaderMagic = 0x1BADB002
	mbBootMagic   = 0x2BADB002 // in EAX at entry
	mbSearch      = 8192       // the header lies in this much of the file
	mbHeaderSize  = 12         // magic, flags, checksum
	mbAddressEnd  = 32         // with the address fields

	mbFlagAlign     = 1 << 0 // modules page-aligned: they always are
	mbFlagMemory    = 1 << 1 // memory information: it always is there
	mbFlagVideo     = 1 << 2 // video mode: see below
	mbFlagAddresses = 1 << 16
	mbRequired      = 0xFFFF // flags that a loader has to know or refuse
	// keel-1 has no display. A kernel that wants one is booted all the same,
	// as other loaders do: flags 11 and 12 of the information tell it that
	// there is none, and most go on with a serial port.
	mbKnown = mbFlagAlign | mbFlagMemory | mbFlagVideo

	mbInfoMemory  = 1 << 0
	mbInfoCmdline = 1 << 2
	mbInfoModules = 1 << 3
	mbInfoMap     = 1 << 6
	mbInfoLoader  = 1 << 9
	mbInfoSize    = 116
	mbMapSize     = 20 // an entry of the map, without its own size field

	mbLoaderName = "Keel"
)

// An mbHeader is a multiboot header with the right checksum.
type mbHeader struct {
	offset int    // in the file
	flags  uint32 // the address fields are valid if mbFlagAddresses is set

	headerAddr, loadAddr, loadEnd, bssEnd, entryAddr uint32
}

// findMultiboot looks for a multiboot header. It returns nil without an error
// if there is none; the error is about something that nearly is one.
func findMultiboot(b []byte) (*mbHeader, error) {
	b = b[:min(len(b), mbSearch)]
	var err error
	for i := 0; i+mbHeaderSize <= len(b); i += 4 {
		if le.Uint32(b[i:]) != mbHeaderMagic {
			continue
		}
		flags, sum := le.Uint32(b[i+4:]), le.Uint32(b[i+8:])
		if mbHeaderMagic+flags+sum != 0 {
			err = fmt.Errorf("the multiboot header at %#x has the wrong checksum %#x (flags %#x)", i, sum, flags)
			continue
		}
		h := &mbHeader{offset: i, flags: flags}
		if flags&mbFlagAddresses != 0 {
			if i+mbAddressEnd > len(b) {
				return nil, fmt.Errorf("truncated: the address fields of the multiboot header at %#x are not in the first %d bytes", i, len(b))
			}
			for k, field := range []*uint32{&h.headerAddr, &h.loadAddr, &h.loadEnd, &h.bssEnd, &h.entryAddr} {
				*field = le.Uint32(b[i+mbHeaderSize+4*k:])
			}
		}
		return h, nil
	}
	return nil, err
}

// multiboot boots a kernel with the header h; f is nil if it isn't ELF.
func (j *job) multiboot(h *mbHeader, f *elfFile) (Entry, error) {
	if unknown := h.flags & mbRequired &^ mbKnown; unknown != 0 {
		return Entry{}, fmt.Errorf("the header at %#x requires unknown features, flags %#x", h.offset, unknown)
	}
	var entry, end uint64
	var err error
	switch {
	case h.flags&mbFlagAddresses != 0:
		entry = uint64(h.entryAddr)
		end, err = j.loadAddressed(h)
	case f != nil:
		if entry, err = f.physicalEntry(); err == nil {
			end, err = j.loadELF(f)
		}
		if err == nil && entry >= guestmem.HighStart {
			err = fmt.Errorf("entry point %#x is not below 4 GiB", entry)
		}
	default:
		err = fmt.Errorf("the header at %#x has no address fields and the file is not ELF", h.offset)
	}
	if err != nil {
		return Entry{}, err
	}
	e, err := j.entry(FormatMultiboot, Protected32, entry)
	if err != nil {
		return Entry{}, err
	}
	e.RAX = mbBootMagic
	e.RBX, err = j.multibootInfo(end)
	return e, err
}

// loadAddressed loads a kernel by the address fields of its header (section
// 3.1.3) and returns the address after it.
func (j *job) loadAddressed(h *mbHeader) (end uint64, err error) {
	load, loadEnd, bssEnd := uint64(h.loadAddr), uint64(h.loadEnd), uint64(h.bssEnd)
	before := uint64(h.headerAddr) - load // bytes loaded from before the header
	if h.headerAddr < h.loadAddr || before > uint64(h.offset) {
		return 0, fmt.Errorf("header_addr %#x and load_addr %#x do not fit a header at %#x of the file",
			h.headerAddr, load, h.offset)
	}
	data := j.img.Kernel[uint64(h.offset)-before:]
	if loadEnd != 0 {
		if loadEnd < load {
			return 0, fmt.Errorf("load_end_addr %#x is below load_addr %#x", loadEnd, load)
		}
		if loadEnd-load > uint64(len(data)) {
			return 0, fmt.Errorf("truncated: the file has %d bytes from load_addr on, the header promises %d", len(data), loadEnd-load)
		}
		data = data[:loadEnd-load]
	}
	loadEnd = load + uint64(len(data))
	if bssEnd == 0 {
		bssEnd = loadEnd
	}
	if bssEnd < loadEnd {
		return 0, fmt.Errorf("bss_end_addr %#x is below the end of the data, %#x", bssEnd, loadEnd)
	}
	if entry := uint64(h.entryAddr); entry < load || entry >= loadEnd {
		return 0, fmt.Errorf("entry_addr %#x is not in %s", entry, boundsOrEmpty(load, loadEnd-load))
	}
	if err := j.space.claim(load, bssEnd-load, "kernel"); err != nil {
		return 0, err
	}
	if err := j.m.WriteAt(data, load); err != nil {
		return 0, err
	}
	return bssEnd, j.m.Zero(loadEnd, bssEnd-loadEnd)
}

func boundsOrEmpty(start, size uint64) string {
	if size == 0 {
		return fmt.Sprintf("the kernel, which is empty, at %#x", start)
	}
	return bounds(start, size)
}

// multibootInfo writes the information structure (section 3.3) and what it
// points to. Modules follow the kernel, which ends at end: small kernels map
// only the memory up to the last of them.
func (j *job) multibootInfo(end uint64) (uint64, error) {
	mods, err := j.putModules(
		request{low: max(end, firmwareEnd), high: guestmem.HoleStart},
		request{low: firmwareEnd, high: guestmem.HoleStart})
	if err != nil {
		return 0, err
	}
	var list []byte
	for _, m := range mods {
		list = le.AppendUint32(list, uint32(m.start))
		list = le.AppendUint32(list, uint32(m.start+m.size))
		list = le.AppendUint32(list, uint32(m.cmdline))
		list = le.AppendUint32(list, 0)
	}
	var table []byte
	var upper uint64 // bytes from 1 MiB to the first hole
	for _, m := range j.memmap {
		table = le.AppendUint32(table, mbMapSize)
		table = le.AppendUint64(table, m.Start)
		table = le.AppendUint64(table, m.Size)
		table = le.AppendUint32(table, m.Type)
		if m.Start == firmwareEnd {
			upper = m.Size
		}
	}
	cmdline, err1 := j.putString(j.img.Cmdline, "command line")
	name, err2 := j.putString(mbLoaderName, "loader name")
	modlist, err3 := j.putLow(list, 8, "module list")
	memmap, err4 := j.putLow(table, 8, "memory map")
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		return 0, err
	}
	var info [mbInfoSize]byte
	le.PutUint32(info[0:], mbInfoMemory|mbInfoCmdline|mbInfoModules|mbInfoMap|mbInfoLoader)
	le.PutUint32(info[4:], firmwareStart/1024)
	le.PutUint32(info[8:], uint32(upper/1024))
	le.PutUint32(info[16:], uint32(cmdline))
	le.PutUint32(info[20:], uint32(len(mods)))
	le.PutUint32(info[24:], uint32(modlist))
	le.PutUint32(info[44:], uint32(len(table)))
	le.PutUint32(info[48:], uint32(memmap))
	le.PutUint32(info[64:], uint32(name))
	return j.putLow(info[:], 8, "multiboot information")
}
