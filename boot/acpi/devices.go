package acpi

// readHPET reads the HPET description table (IA-PC HPET 3.2.4). Only registers in memory are of use.
func (t *Tables) readHPET(b table) {
	if t.Has&HasHPET != 0 {
		return
	}
	if b.length < 56 {
		t.bad(HPET, b.at, BadLength)
		return
	}
	r := readAddress(b, 40)
	if r.Space != InMemory || r.Address == 0 {
		t.bad(HPET, b.at, BadContent)
		return
	}
	t.Has |= HasHPET
	t.HPET.Address = r.Address
	t.HPET.ID = b.u32(36)
	t.HPET.Number = b.u8(52)
	t.HPET.MinTick = b.u16(53)
}

// readMCFG reads where PCI's memory-mapped configuration space is (PCI Firmware Specification 4.1.2).
func (t *Tables) readMCFG(b table) {
	const first, size = 44, 16
	if t.Has&HasMCFG != 0 {
		return
	}
	if b.length < first {
		t.bad(MCFG, b.at, BadLength)
		return
	}
	t.Has |= HasMCFG
	for off := uint32(first); b.has(off, size); off += size {
		base, start, end := b.u64(off), b.u8(off+10), b.u8(off+11)
		if base == 0 || base >= 1<<52 || start > end {
			t.bad(MCFG, b.at, BadContent)
			continue
		}
		if t.NumECAMs >= MaxECAMs {
			t.Dropped++
			continue
		}
		e := &t.ECAMs[t.NumECAMs]
		e.Base, e.Segment, e.StartBus, e.EndBus = base, b.u16(off+8), start, end
		t.NumECAMs++
	}
}
