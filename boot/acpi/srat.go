package acpi

// The structures of the SRAT that are read (5.2.16.1 to 5.2.16.3), and their flag.
const (
	sratLocalAPIC = 0
	sratMemory    = 1
	sratX2APIC    = 2

	sratRevision = 8  // offset of the table's revision, which is 1 in ACPI 1 and 2: domains have 8 bits there, and what is beside them is reserved
	sratFirst    = 48 // offset of the first structure
	sratEnabled  = 1 << 0
)

// sratSize is what a structure of a type has at least, bytes.
func sratSize(kind uint8) uint32 {
	switch kind {
	case sratLocalAPIC:
		return 16
	case sratMemory:
		return 40
	case sratX2APIC:
		return 24
	}
	return 2
}

// readSRAT reads which proximity domains memory and processors are in (5.2.16). An SRAT that contradicts
// itself is no use at all, be it about memory or a processor: the machine counts as one domain then.
func (t *Tables) readSRAT(b table) {
	if t.Has&HasSRAT != 0 {
		return
	}
	if b.length < sratFirst {
		t.bad(SRAT, b.at, BadLength)
		return
	}
	for off := uint32(sratFirst); off < b.length; {
		size := uint32(b.u8(off + 1))
		if !b.has(off, 2) || size < sratSize(b.u8(off)) || !b.has(off, size) {
			t.bad(SRAT, b.at, BadContent)
			break
		}
		if !t.addAffinity(b, off) {
			t.bad(SRAT, b.at, BadContent)
			t.NumAffinities, t.NumCPUDomains = 0, 0
			return
		}
		off += size
	}
	if t.NumAffinities != 0 {
		t.Has |= HasSRAT
	}
}

// addAffinity enters what a structure says; false means that it can't be true.
func (t *Tables) addAffinity(b table, off uint32) bool {
	switch b.u8(off) {
	case sratMemory:
		return t.addMemory(b, off)
	case sratLocalAPIC:
		// The upper 24 bits of the domain are beside the local SAPIC's EID.
		return b.u32(off+4)&sratEnabled == 0 || t.addCPUDomain(uint32(b.u8(off+3)), sratDomain(b, uint32(b.u8(off+2))|b.u32(off+8)&^0xFF))
	case sratX2APIC:
		return b.u32(off+12)&sratEnabled == 0 || t.addCPUDomain(b.u32(off+8), b.u32(off+4))
	}
	return true
}

// sratDomain is a domain as the table's revision has it.
func sratDomain(b table, domain uint32) uint32 {
	if b.u8(sratRevision) < 2 {
		return domain & 0xFF
	}
	return domain
}

// addCPUDomain enters a processor's domain. One that is in two can't be.
func (t *Tables) addCPUDomain(id, domain uint32) bool {
	for i := uint32(0); i < t.NumCPUDomains; i++ {
		if d := &t.CPUDomains[i]; d.APICID == id {
			return d.Domain == domain
		}
	}
	if t.NumCPUDomains >= MaxCPUs {
		t.Dropped++
		return true
	}
	t.CPUDomains[t.NumCPUDomains] = CPUDomain{id, domain}
	t.NumCPUDomains++
	return true
}

func (t *Tables) addMemory(b table, off uint32) bool {
	base, length, domain := b.u64(off+8), b.u64(off+16), sratDomain(b, b.u32(off+2))
	if b.u32(off+28)&sratEnabled == 0 || length == 0 {
		return true
	}
	if base+(length-1) < base {
		return false
	}
	for i := uint32(0); i < t.NumAffinities; i++ {
		if a := &t.Affinities[i]; base <= a.Base+(a.Length-1) && a.Base <= base+(length-1) {
			return false
		}
	}
	if t.NumAffinities >= MaxAffinities {
		t.Dropped++
		return true
	}
	a := &t.Affinities[t.NumAffinities]
	a.Base, a.Length, a.Domain = base, length, domain
	t.NumAffinities++
	return true
}
