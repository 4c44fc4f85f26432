package device

// A PortDevice is reached through a range of I/O ports.
//
// port is the offset from the first port of the range, size is 1, 2 or 4
// bytes, and the access lies wholly within the range. Only the low size bytes
// of a value count. Both methods may be called from several goroutines at
// once.
type PortDevice interface {
	In(port uint16, size int) uint32
	Out(port uint16, size int, v uint32)
}

// An MMIODevice is reached through a range of guest-physical addresses.
//
// addr is the offset from the first address of the range, size is 1 to 8
// bytes, and the access lies wholly within the range. Only the low size bytes
// of a value count. Both methods may be called from several goroutines at
// once.
type MMIODevice interface {
	Read(addr uint64, size int) uint64
	Write(addr uint64, size int, v uint64)
}

// A Line is an interrupt line. Set gives its level; true is asserted,
// whatever the polarity on the wire. Devices call it with their own mutex
// held so that levels arrive in order, so Set must neither block nor call the
// device back. Setting the level that the line has already is harmless.
type Line interface {
	Set(level bool)
}

// A Machine carries out what a device does to its VM as a whole. The methods
// only ask: they return at once and the VM stops later. A device may ask more
// than once; the first request counts.
type Machine interface {
	// PowerOff ends the VM as S5 does.
	PowerOff()
	// Reset reboots the VM; how says by which mechanism, for the stop reason.
	Reset(how string)
	// Exit ends the VM with a test kernel's exit code.
	Exit(code uint32)
}

// Unconnected is a Line that leads nowhere.
type Unconnected struct{}

// Set does nothing.
func (Unconnected) Set(bool) {}

// Ignore is a PortDevice that takes every write and reads all ones, for ports
// such as the POST code port 80H: known, and without effect.
type Ignore struct{}

// In returns all ones.
func (Ignore) In(uint16, int) uint32 { return ^uint32(0) }

// Out does nothing.
func (Ignore) Out(uint16, int, uint32) {}

// SplitIn reads a device whose registers are one byte wide as the ISA bus
// does it: a wider access becomes one for each byte, lowest port first.
func SplitIn(d PortDevice, port uint16, size int) uint32 {
	var v uint32
	for i := 0; i < size && i < 4; i++ {
		v |= d.In(port+uint16(i), 1) & 0xff << (8 * i)
	}
	return v
}

// SplitOut is SplitIn for a write.
func SplitOut(d PortDevice, port uint16, size int, v uint32) {
	for i := 0; i < size && i < 4; i++ {
		d.Out(port+uint16(i), 1, v>>(8*i)&0xff)
	}
}
