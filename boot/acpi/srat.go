package acpi

// The memory affinity structure of the SRAT (5.2.16.2), and its flag.
const (
	sratMemory = 1

	sratFirst      = 48 // offset of the first structure
	sratMemorySize = 40
	sratEnabled    = 1 << 0
)

// readSRAT reads which proximity domain memory is in (5.2.16). An SRAT whose ranges of
// memory contradict each other is no use at all: the machine counts as one domain then.
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
		if !b.has(off, 2) || size < 2 || b.u8(off) == sratMemory && size < sratMemorySize || !b.has(off, size) {
			t.bad(SRAT, b.at, BadContent)
			break
		}
		if b.u8(off) == sratMemory && !t.addAffinity(b, off) {
			t.bad(SRAT, b.at, BadContent)
			t.NumAffinities = 0
			return
		}
		off += size
	}
	if t.NumAffinities != 0 {
		t.Has |= HasSRAT
	}
}

// addAffinity enters a range of memory; false means that it can't be true.
func (t *Tables) addAffinity(b table, off uint32) bool {
	base, length, domain := b.u64(off+8), b.u64(off+16), b.u32(off+2)
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
