package loader

import (
	"errors"
	"fmt"

	"keel/vmkernel/vm/guestmem"
)

// Offsets of the setup header, the same in the file and in the zero page
// (Documentation/arch/x86/boot.rst, "Details of header fields").
const (
	hdrStart          = 0x1F1 // setup_sects, 1 byte
	hdrSyssize        = 0x1F4
	hdrBootFlag       = 0x1FE // 2 bytes, 0xAA55
	hdrJump           = 0x200 // 2 bytes; the second is the header's end, from 0x202
	hdrMagic          = 0x202 // "HdrS"
	hdrVersion        = 0x206 // 2 bytes
	hdrTypeOfLoader   = 0x210 // 1 byte
	hdrLoadflags      = 0x211 // 1 byte
	hdrCode32Start    = 0x214
	hdrRamdiskImage   = 0x218
	hdrRamdiskSize    = 0x21C
	hdrCmdLinePtr     = 0x228
	hdrInitrdAddrMax  = 0x22C
	hdrAlignment      = 0x230
	hdrRelocatable    = 0x234 // 1 byte
	hdrXloadflags     = 0x236 // 2 bytes
	hdrCmdlineSize    = 0x238
	hdrSetupData      = 0x250 // 8 bytes
	hdrPrefAddress    = 0x258 // 8 bytes
	hdrInitSize       = 0x260
	hdrMinEnd         = 0x264 // where the header of version 2.12 has all that is read here
	hdrMaxEnd         = 0x290 // the zero page has something else from here
	sectorSize        = 512
	loadflagHigh      = 1 << 0 // LOADED_HIGH
	xlfKernel64       = 1 << 0 // XLF_KERNEL_64
	xlfAbove4G        = 1 << 1 // XLF_CAN_BE_LOADED_ABOVE_4G
	version212        = 0x020C
	loaderUndefined   = 0xFF
	entry64           = 0x200 // 64-bit entry point, from the load address
	defaultSetupSects = 4     // what 0 means
)

// Offsets of the zero page, struct boot_params, that are not in the header
// (Documentation/arch/x86/zero-page.rst).
const (
	zpACPIRSDP        = 0x070 // 8 bytes
	zpExtRamdiskImage = 0x0C0
	zpExtRamdiskSize  = 0x0C4
	zpE820Entries     = 0x1E8 // 1 byte
	zpE820Table       = 0x2D0
	e820Size          = 20
)

// isBzImage recognises a file with a Linux setup header.
func isBzImage(b []byte) bool {
	return len(b) >= hdrMagic+4 && string(b[hdrMagic:hdrMagic+4]) == "HdrS"
}

// A setupHeader is what the loader needs of a bzImage's setup header, checked.
type setupHeader struct {
	raw         []byte // the header, from hdrStart
	payload     []byte // the protected-mode kernel
	initrdMax   uint64 // address after the last that the initrd may have
	alignment   uint64 // power of two
	relocatable bool
	above4G     bool
	cmdlineSize uint64 // bytes, without the NUL
	prefAddress uint64
	initSize    uint64 // bytes from the load address that the kernel needs
}

func parseSetupHeader(b []byte) (*setupHeader, error) {
	if len(b) < hdrVersion+2 {
		return nil, fmt.Errorf("truncated: %d bytes end within the setup header", len(b))
	}
	if flag := le.Uint16(b[hdrBootFlag:]); flag != 0xAA55 {
		return nil, fmt.Errorf("boot_flag is %#x, not 0xaa55: the file is damaged", flag)
	}
	if v := le.Uint16(b[hdrVersion:]); v < version212 {
		return nil, fmt.Errorf("boot protocol %d.%02d is too old, 2.12 (Linux 3.8) is the oldest possible", v>>8, v&0xFF)
	}
	end := hdrMagic + int(b[hdrJump+1])
	if end < hdrMinEnd {
		return nil, fmt.Errorf("the setup header ends at %#x, not after %#x as boot protocol 2.12 demands", end, hdrMinEnd-1)
	}
	end = min(end, hdrMaxEnd)
	if len(b) < end {
		return nil, fmt.Errorf("truncated: %d bytes, the setup header alone needs %d", len(b), end)
	}
	if b[hdrLoadflags]&loadflagHigh == 0 {
		return nil, errors.New("LOADED_HIGH is clear in loadflags: a zImage can't be booted, use a bzImage")
	}
	xlf := le.Uint16(b[hdrXloadflags:])
	if xlf&xlfKernel64 == 0 {
		return nil, fmt.Errorf("no 64-bit entry point (XLF_KERNEL_64 is clear in xloadflags %#x): 32-bit Linux can't be booted from a bzImage", xlf)
	}
	sects := int(b[hdrStart])
	if sects == 0 {
		sects = defaultSetupSects
	}
	setup, size := (sects+1)*sectorSize, uint64(le.Uint32(b[hdrSyssize:]))*16
	if len(b) < setup || uint64(len(b)-setup) < size {
		return nil, fmt.Errorf("truncated: %d bytes, the setup header promises %d", len(b), uint64(setup)+size)
	}
	h := &setupHeader{
		raw:         b[hdrStart:end],
		payload:     b[setup:],
		initrdMax:   uint64(le.Uint32(b[hdrInitrdAddrMax:])) + 1,
		alignment:   uint64(le.Uint32(b[hdrAlignment:])),
		relocatable: b[hdrRelocatable] != 0,
		above4G:     xlf&xlfAbove4G != 0,
		cmdlineSize: uint64(le.Uint32(b[hdrCmdlineSize:])),
		prefAddress: le.Uint64(b[hdrPrefAddress:]),
		initSize:    uint64(le.Uint32(b[hdrInitSize:])),
	}
	if len(h.payload) <= entry64 {
		return nil, fmt.Errorf("the protected-mode kernel has %d bytes: its entry point is at %d", len(h.payload), entry64)
	}
	if h.alignment == 0 || h.alignment&(h.alignment-1) != 0 {
		return nil, fmt.Errorf("kernel_alignment %#x is not a power of two", h.alignment)
	}
	return h, nil
}

// loadAddress returns where the kernel is put. Lower than pref_address is no
// use: a kernel moves itself up to there, so that the memory it needs counts
// from there in any case (boot.rst, "init_size").
func (h *setupHeader) loadAddress() (uint64, error) {
	addr := h.prefAddress
	if h.relocatable {
		addr = max(addr, firmwareEnd)
		aligned := (addr + h.alignment - 1) &^ (h.alignment - 1)
		if aligned < addr {
			return 0, fmt.Errorf("pref_address %#x wraps when aligned to %#x", h.prefAddress, h.alignment)
		}
		addr = aligned
	}
	if addr < firmwareEnd || addr >= guestmem.HoleStart {
		return 0, fmt.Errorf("load address %#x (pref_address %#x, alignment %#x) is not between 1 MiB and 3 GiB",
			addr, h.prefAddress, h.alignment)
	}
	return addr, nil
}

// bzImage boots Linux by the 64-bit boot protocol.
func (j *job) bzImage() (Entry, error) {
	h, err := parseSetupHeader(j.img.Kernel)
	if err != nil {
		return Entry{}, err
	}
	if n := len(j.img.Modules); n > 0 {
		return Entry{}, fmt.Errorf("%d modules given: Linux takes an initrd only", n)
	}
	if n := uint64(len(j.img.Cmdline)); n > h.cmdlineSize {
		return Entry{}, fmt.Errorf("command line has %d bytes, this kernel takes at most %d", n, h.cmdlineSize)
	}
	addr, err := h.loadAddress()
	if err != nil {
		return Entry{}, err
	}
	if err := j.space.claim(addr, max(h.initSize, uint64(len(h.payload))), "kernel (init_size)"); err != nil {
		return Entry{}, err
	}
	if err := j.m.WriteAt(h.payload, addr); err != nil {
		return Entry{}, err
	}
	e, err := j.entry(FormatLinux, Long64, addr+entry64)
	if err != nil {
		return Entry{}, err
	}
	e.RSI, err = j.zeroPage(h, addr)
	return e, err
}

// zeroPage writes struct boot_params and what it points to.
func (j *job) zeroPage(h *setupHeader, addr uint64) (uint64, error) {
	var zp [pageSize]byte
	copy(zp[hdrStart:], h.raw)
	zp[hdrTypeOfLoader] = loaderUndefined
	le.PutUint32(zp[hdrCode32Start:], uint32(addr))
	le.PutUint64(zp[hdrSetupData:], 0)
	le.PutUint64(zp[zpACPIRSDP:], j.rsdp)

	cmdline, err := j.putString(j.img.Cmdline, "command line")
	if err != nil {
		return 0, err
	}
	le.PutUint32(zp[hdrCmdLinePtr:], uint32(cmdline))

	var initrd, size uint64
	if size = uint64(len(j.img.Initrd)); size > 0 {
		if initrd, err = j.placeInitrd(h); err != nil {
			return 0, err
		}
	}
	le.PutUint32(zp[hdrRamdiskImage:], uint32(initrd))
	le.PutUint32(zp[zpExtRamdiskImage:], uint32(initrd>>32))
	le.PutUint32(zp[hdrRamdiskSize:], uint32(size))
	le.PutUint32(zp[zpExtRamdiskSize:], uint32(size>>32))

	zp[zpE820Entries] = byte(len(j.memmap))
	for i, m := range j.memmap {
		e := zp[zpE820Table+i*e820Size:]
		le.PutUint64(e, m.Start)
		le.PutUint64(e[8:], m.Size)
		le.PutUint32(e[16:], m.Type)
	}
	return j.putLow(zp[:], pageSize, "zero page")
}

// placeInitrd puts the initrd as high as initrd_addr_max allows, or anywhere
// if that has no room and the kernel can reach it.
func (j *job) placeInitrd(h *setupHeader) (uint64, error) {
	windows := []request{{low: firmwareEnd, high: h.initrdMax, top: true}}
	if h.above4G {
		windows = append(windows, request{low: firmwareEnd, high: maxAddress, top: true})
	}
	return j.putPages(j.img.Initrd, "initrd", windows...)
}
