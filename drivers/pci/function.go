package pci

import "fmt"

// Offsets in configuration space (PCI 6.1, 6.2).
const (
	regVendor    = 0x00
	regDevice    = 0x02
	regCommand   = 0x04
	regStatus    = 0x06
	regRevision  = 0x08
	regClass     = 0x0A // subclass, then base class
	regHeader    = 0x0E
	regBAR       = 0x10
	regSecondary = 0x19 // a bridge's bus behind it
	regSubsystem = 0x2C
	regFirstCap  = 0x34
	regLine      = 0x3C
	regPin       = 0x3D

	CommandIO     = 1 << 0
	CommandMemory = 1 << 1
	CommandMaster = 1 << 2
	CommandNoINTx = 1 << 10

	statusCaps = 1 << 4

	headerMulti  = 1 << 7
	headerBridge = 1
)

// Classes of functions: base class and subclass.
const (
	ClassEthernet = 0x0200
	ClassBridge   = 0x0604 // PCI to PCI
)

// A Function is what the walk found.
type Function struct {
	Address        Address
	Vendor, Device uint16
	Subsystem      uint16 // device ID of the subsystem, 0 for bridges
	Class          uint16 // base class and subclass
	Revision       uint8
	Header         uint8 // layout of its configuration space: 0 devices, 1 bridges

	host Host
}

func (f *Function) String() string {
	return fmt.Sprintf("%v %04x:%04x", f.Address, f.Vendor, f.Device)
}

// Host is what gives the function's resources.
func (f *Function) Host() Host { return f.host }

func (f *Function) read(off, size int) uint32 { return f.host.Read(f.Address, off, size) }

func (f *Function) write(off, size int, v uint32) error {
	if err := f.host.Write(f.Address, off, size, v); err != nil {
		return fmt.Errorf("pci: %v: writing its configuration at %#x: %w", f, off, err)
	}
	return nil
}

// Enable switches the function's registers in memory and its bus mastering on, and everything else
// off that a driver might not expect.
func (f *Function) Enable() error {
	c := f.read(regCommand, 2)
	return f.write(regCommand, 2, c&^CommandIO|CommandMemory|CommandMaster)
}

// Disable takes the bus from the function: it neither reads memory nor writes it afterwards.
func (f *Function) Disable() error {
	return f.write(regCommand, 2, f.read(regCommand, 2)&^CommandMaster|CommandNoINTx)
}

// Bounds of a walk.
const (
	buses         = 256
	devicesPerBus = 32
	functionsPer  = 8
	maxFunctions  = 1024
	absent        = 0xFFFF
)

// Walk finds the functions of segment 0: those of bus 0, of the buses that further host bridges at
// 0:0 begin, and of all behind the bridges there. Each bus is looked at once, and no more than
// maxFunctions are returned.
func Walk(h Host) []*Function {
	var found []*Function
	var seen [buses]bool
	next := []int{0}
	if read := h.Read(At(0, 0, 0), regHeader, 1); uint8(read) != 0xFF && read&headerMulti != 0 {
		for f := 1; f < functionsPer; f++ {
			if uint16(h.Read(At(0, 0, f), regVendor, 2)) != absent {
				next = append(next, f)
			}
		}
	}
	for len(next) > 0 {
		bus := next[0]
		next = next[1:]
		if seen[bus] {
			continue
		}
		seen[bus] = true
		for dev := range devicesPerBus {
			for _, f := range functionsOf(h, bus, dev) {
				if len(found) == maxFunctions {
					return found
				}
				found = append(found, f)
				if f.Class == ClassBridge && f.Header == headerBridge {
					if behind := int(uint8(f.read(regSecondary, 1))); behind != 0 && len(next) < buses {
						next = append(next, behind)
					}
				}
			}
		}
	}
	return found
}

// functionsOf are the functions of a device.
func functionsOf(h Host, bus, dev int) []*Function {
	var found []*Function
	for fn := range functionsPer {
		a := At(bus, dev, fn)
		vendor := uint16(h.Read(a, regVendor, 2))
		if vendor == absent || vendor == 0 {
			if fn == 0 {
				return nil
			}
			continue
		}
		header := uint8(h.Read(a, regHeader, 1))
		f := &Function{
			Address:  a,
			Vendor:   vendor,
			Device:   uint16(h.Read(a, regDevice, 2)),
			Class:    uint16(h.Read(a, regClass, 2)),
			Revision: uint8(h.Read(a, regRevision, 1)),
			Header:   header &^ headerMulti,
			host:     h,
		}
		if f.Header == 0 {
			f.Subsystem = uint16(f.read(regSubsystem+2, 2))
		}
		found = append(found, f)
		if fn == 0 && header&headerMulti == 0 {
			break
		}
	}
	return found
}
