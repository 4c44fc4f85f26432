package mmio

// cacheSize is how many decoded instructions an Emulator remembers; a kernel
// has few that access devices. A power of two.
const cacheSize = 64

// A cached instruction is good wherever the same bytes are, in the same mode.
type cached struct {
	op   Op
	code [MaxLen]byte
	mode Mode
}

// decode returns what the n bytes in e.code decode to, from memory if it can.
// The result is valid until the next call.
func (e *Emulator) decode(c *CPU, n int) (*Op, error) {
	slot := &e.cache[(c.RIP^c.RIP>>6)%cacheSize]
	if size := int(slot.op.Len); size > 0 && size <= n && slot.mode == c.Mode &&
		string(slot.code[:size]) == string(e.code[:size]) {
		return &slot.op, nil
	}
	op, err := Decode(e.code[:n], c.Mode)
	if err != nil {
		return nil, err
	}
	slot.op, slot.code, slot.mode = op, e.code, c.Mode
	return &slot.op, nil
}
