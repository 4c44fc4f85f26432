package pci

// Capabilities (PCI 6.7, appendix H; PCI Code and ID Assignment 2).
const (
	CapPower  = 0x01
	CapMSI    = 0x05
	CapVendor = 0x09
	CapMSIX   = 0x11

	firstCap = 0x40
	lastCap  = 0xFC
)

// A Capability is an entry of the function's list.
type Capability struct {
	ID     uint8
	Offset int // in configuration space, from 0x40 to 0xFC, a multiple of 4
}

// Capabilities is the function's list, in its order. It ends where it leaves the space or comes back
// to where it has been.
func (f *Function) Capabilities() []Capability {
	if f.Header > headerBridge || f.read(regStatus, 2)&statusCaps == 0 {
		return nil
	}
	var list []Capability
	var seen [256]bool
	at := int(f.read(regFirstCap, 1)) &^ 3
	for at >= firstCap && at <= lastCap && !seen[at] {
		seen[at] = true
		id := uint8(f.read(at, 1))
		if id == 0xFF {
			break
		}
		list = append(list, Capability{id, at})
		at = int(f.read(at+1, 1)) &^ 3
	}
	return list
}

// Capability is the offset of the first of that kind, 0 where there is none.
func (f *Function) Capability(id uint8) int {
	for _, c := range f.Capabilities() {
		if c.ID == id {
			return c.Offset
		}
	}
	return 0
}

// Config reads 1, 2 or 4 bytes of the function's configuration space; outside it they are all ones.
func (f *Function) Config(off, size int) uint32 {
	if off < 0 || off >= 4096 || off&(size-1) != 0 {
		return 0xFFFF_FFFF
	}
	return f.read(off, size)
}
