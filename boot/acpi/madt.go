package acpi

// Interrupt controller structures of the MADT (5.2.12 table 5.21).
const (
	madtLocalAPIC        = 0
	madtIOAPIC           = 1
	madtOverride         = 2
	madtNMISource        = 3
	madtLocalNMI         = 4
	madtLocalAPICAddress = 5
	madtLocalX2APIC      = 9
	madtLocalX2NMI       = 10

	madtFirst   = 44 // offset of the first structure
	madtPCAT    = 1 << 0
	madtEnabled = 1 << 0

	anyUID   = 0xFF // all processors, in a local APIC NMI structure
	anyX2UID = 0xFFFF_FFFF
)

// readMADT reads the interrupt controllers (5.2.12) in two rounds, since the processors' NMI pins
// may be listed before the processors.
func (t *Tables) readMADT(b table) {
	if t.Has&HasMADT != 0 {
		return
	}
	if b.length < madtFirst {
		t.bad(MADT, b.at, BadLength)
		return
	}
	t.Has |= HasMADT
	t.LocalAPIC = uint64(b.u32(36))
	if b.u32(40)&madtPCAT != 0 {
		t.Has |= Has8259
	}
	off := uint32(madtFirst)
	for off < b.length {
		size := structure(b, off)
		if size == 0 {
			t.bad(MADT, b.at, BadContent)
			break
		}
		t.readController(b, off)
		off += size
	}
	for end, at := off, uint32(madtFirst); at < end; at += structure(b, at) {
		t.readNMIPin(b, at)
	}
}

// structure is the length of the interrupt controller structure at off, or 0 where it is too
// short for its type or longer than the table.
func structure(b table, off uint32) uint32 {
	size := uint32(b.u8(off + 1))
	need := uint32(2)
	switch b.u8(off) {
	case madtLocalAPIC, madtNMISource:
		need = 8
	case madtIOAPIC, madtLocalAPICAddress, madtLocalX2NMI:
		need = 12
	case madtOverride:
		need = 10
	case madtLocalNMI:
		need = 6
	case madtLocalX2APIC:
		need = 16
	}
	if !b.has(off, 2) || size < need || !b.has(off, size) {
		return 0
	}
	return size
}

func (t *Tables) readController(b table, off uint32) {
	switch b.u8(off) {
	case madtLocalAPIC:
		if id := b.u8(off + 3); id != 0xFF {
			t.addCPU(uint32(id), uint32(b.u8(off+2)), b.u32(off+4))
		}
	case madtLocalX2APIC:
		if id := b.u32(off + 4); id != 0xFFFF_FFFF {
			t.addCPU(id, b.u32(off+12), b.u32(off+8))
		}
	case madtIOAPIC:
		t.addIOAPIC(b, off)
	case madtOverride:
		if b.u8(off+2) != 0 { // 0 is ISA, the only bus there is
			return
		}
		if t.NumOverrides >= MaxOverrides {
			t.Dropped++
			return
		}
		o := &t.Overrides[t.NumOverrides]
		o.Source, o.GSI, o.Flags = b.u8(off+3), b.u32(off+4), Flags(b.u16(off+8))
		t.NumOverrides++
	case madtNMISource:
		if t.NumNMIs >= MaxNMIs {
			t.Dropped++
			return
		}
		n := &t.NMIs[t.NumNMIs]
		n.Flags, n.GSI = Flags(b.u16(off+2)), b.u32(off+4)
		t.NumNMIs++
	case madtLocalAPICAddress:
		t.LocalAPIC = b.u64(off + 4)
	}
}

// addCPU enters a processor unless it is disabled or there already: firmware may list the same one
// as local APIC and as local x2APIC.
func (t *Tables) addCPU(apicID, uid, flags uint32) {
	if flags&madtEnabled == 0 {
		t.CPUsDisabled++
		return
	}
	for i := uint32(0); i < t.NumCPUs; i++ {
		if t.CPUs[i].APICID == apicID {
			return
		}
	}
	if t.NumCPUs >= MaxCPUs {
		t.Dropped++
		return
	}
	c := &t.CPUs[t.NumCPUs]
	c.APICID, c.UID, c.NMIPin = apicID, uid, NoPin
	t.NumCPUs++
}

func (t *Tables) addIOAPIC(b table, off uint32) {
	address := uint64(b.u32(off + 4))
	for i := uint32(0); i < t.NumIOAPICs; i++ {
		if t.IOAPICs[i].Address == address {
			return
		}
	}
	if address == 0 {
		return
	}
	if t.NumIOAPICs >= MaxIOAPICs {
		t.Dropped++
		return
	}
	a := &t.IOAPICs[t.NumIOAPICs]
	a.ID, a.Address, a.GSIBase = b.u8(off+2), address, b.u32(off+8)
	t.NumIOAPICs++
}

// readNMIPin notes at which local interrupt pin a processor, or each of them, gets NMIs (5.2.12.7,
// 5.2.12.13).
func (t *Tables) readNMIPin(b table, off uint32) {
	var uid uint32
	var pin uint8
	var flags Flags
	all := false
	switch b.u8(off) {
	case madtLocalNMI:
		uid, flags, pin = uint32(b.u8(off+2)), Flags(b.u16(off+3)), b.u8(off+5)
		all = uid == anyUID
	case madtLocalX2NMI:
		flags, uid, pin = Flags(b.u16(off+2)), b.u32(off+4), b.u8(off+8)
		all = uid == anyX2UID
	default:
		return
	}
	if pin > 1 {
		return
	}
	for i := uint32(0); i < t.NumCPUs; i++ {
		if c := &t.CPUs[i]; all || c.UID == uid {
			c.NMIPin, c.NMIFlags = pin, flags
		}
	}
}
