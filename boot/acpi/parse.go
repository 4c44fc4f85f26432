package acpi

import "keel/boot/physmem"

const (
	rsdpMagic  = 'R' | 'S'<<8 | 'D'<<16 | ' '<<24 | 'P'<<32 | 'T'<<40 | 'R'<<48 | ' '<<56
	rsdpV1Size = 20 // bytes covered by the first checksum (5.2.5.3)
	rsdpV2Size = 36
	maxRoot    = 1024 // entries of an RSDT or XSDT that are looked at
)

// Parse fills t from the tables that the RSDP at physical address rsdp leads to; with rsdp = 0, or
// with none there, the BIOS's places are searched. It gives "" or, where there is no root to start
// from, the line that says so; a table that is missing or bad is no error but said in t. core:
// the boot stack, interrupts off.
func Parse(mem physmem.Memory, rsdp uint64, t *Tables) string {
	*t = Tables{}
	if !validRSDP(mem, rsdp) {
		if rsdp != 0 {
			t.bad(sigRSDP, rsdp, BadChecksum)
		}
		t.Has |= HasScanned
		if rsdp = FindRSDP(mem); rsdp == 0 {
			return "ACPI: the firmware has no valid root pointer (RSDP): switch ACPI on in the firmware's setup"
		}
	}
	t.RSDP = rsdp
	t.Revision = mem.U8(rsdp + 15)
	root, entrySize, ok := t.openRoot(mem)
	if !ok {
		return "ACPI: the root table (XSDT or RSDT) is missing or damaged"
	}
	t.Root = root.at
	t.walk(root, entrySize)
	return ""
}

// openRoot opens the XSDT, and the RSDT where there is no sound XSDT (5.2.5.3).
func (t *Tables) openRoot(mem physmem.Memory) (root table, entrySize uint32, ok bool) {
	rsdp := t.RSDP
	if t.Revision >= 2 {
		length := uint64(mem.U32(rsdp + 20))
		sum, readable := uint8(1), false
		if length >= rsdpV2Size && length <= 4096 {
			sum, readable = mem.Sum8(rsdp, length)
		}
		xsdt := mem.U64(rsdp + 24)
		switch {
		case !readable || sum != 0:
			t.bad(sigRSDP, rsdp, BadChecksum)
		case xsdt != 0:
			if root, _, ok = t.open(mem, xsdt, XSDT); ok {
				t.Has |= HasXSDT
				return root, 8, true
			}
		}
	}
	root, _, ok = t.open(mem, uint64(mem.U32(rsdp+16)), RSDT)
	return root, 4, ok
}

// walk reads the tables that the root lists. The first of a name counts, but for SSDTs.
func (t *Tables) walk(root table, entrySize uint32) {
	count := (root.length - headerSize) / entrySize
	if count > maxRoot {
		t.Dropped += count - maxRoot
		count = maxRoot
	}
	for i := range count {
		address := uint64(0)
		if entrySize == 8 {
			address = root.u64(headerSize + i*8)
		} else {
			address = uint64(root.u32(headerSize + i*4))
		}
		if address == 0 {
			continue
		}
		// FACS and UEFI tables without a checksum don't stand in the root (5.2.8).
		b, s, ok := t.open(root.mem, address, 0)
		if !ok {
			continue
		}
		switch s {
		case MADT:
			t.readMADT(b)
		case FADT:
			t.readFADT(b)
		case HPET:
			t.readHPET(b)
		case MCFG:
			t.readMCFG(b)
		case SRAT:
			t.readSRAT(b)
		}
	}
	// The DSDT hangs on the FADT, and SSDTs add to it: only now is their order settled.
	if t.Has&HasFADT != 0 && t.FADT.DSDT != 0 {
		if dsdt, _, ok := t.open(root.mem, t.FADT.DSDT, DSDT); ok {
			t.readS5(dsdt)
		}
	}
	for i := uint32(0); i < t.NumTables && t.Has&HasS5 == 0; i++ {
		if e := &t.Directory[i]; e.Signature == SSDT {
			t.readS5(table{root.mem, e.Address, e.Length})
		}
	}
}

// FindRSDP searches the first KiB of the extended BIOS data area and the BIOS's memory from
// 0xE0000 to 0xFFFFF for the RSDP, at every 16th byte (5.2.5.1). It is 0 where there is none, as
// on UEFI machines.
func FindRSDP(mem physmem.Memory) uint64 {
	const ebdaSegment = 0x40E // where the BIOS data area keeps the EBDA's real-mode segment
	if ebda := uint64(mem.U16(ebdaSegment)) << 4; ebda >= 0x400 && ebda < 0xA0000 {
		if found := scanRSDP(mem, ebda, ebda+1024); found != 0 {
			return found
		}
	}
	return scanRSDP(mem, 0xE0000, 0x100000)
}

func scanRSDP(mem physmem.Memory, from, to uint64) uint64 {
	for at := from; at < to; at += 16 {
		if validRSDP(mem, at) {
			return at
		}
	}
	return 0
}

// validRSDP checks signature and first checksum; the second one covers the XSDT only.
func validRSDP(mem physmem.Memory, at uint64) bool {
	if at == 0 || !mem.Holds(at, rsdpV1Size) || mem.U64(at) != rsdpMagic {
		return false
	}
	sum, _ := mem.Sum8(at, rsdpV1Size)
	return sum == 0
}
