package pci

import (
	"errors"
	"fmt"
)

// MSI (PCI 6.8.1) and MSI-X (6.8.2).
const (
	msiControl  = 2
	msiAddress  = 4
	msiEnable   = 1 << 0
	msiMultiple = 7 << 4
	msiWide     = 1 << 7
	msiMaskable = 1 << 8

	msixControl = 2
	msixTable   = 4
	msixEnable  = 1 << 15
	msixMask    = 1 << 14
	msixCount   = 0x7FF
	msixEntry   = 16
)

// Kind is how a function interrupts.
type Kind string

const (
	MSIX Kind = "msi-x"
	MSI  Kind = "msi"
	INTx Kind = "intx"
)

// errNo says that the function can't interrupt in that way.
var errNo = errors.New("it has none")

// Connect has the function interrupt in the first of the ways that it and the machine can. With MSI-X
// it is the table's entry 0.
func (f *Function) Connect(ways ...Kind) (Interrupt, Kind, error) {
	var all []error
	for _, k := range ways {
		var irq Interrupt
		var err error
		switch k {
		case MSIX:
			irq, err = f.connectMSIX()
		case MSI:
			irq, err = f.connectMSI()
		case INTx:
			irq, err = f.connectLine()
		}
		if err == nil {
			return irq, k, nil
		}
		all = append(all, fmt.Errorf("%s: %w", k, err))
	}
	return nil, "", fmt.Errorf("pci: %v can't interrupt: %w", f, errors.Join(all...))
}

func (f *Function) intx(on bool) error {
	c := f.read(regCommand, 2)
	if on {
		return f.write(regCommand, 2, c&^CommandNoINTx)
	}
	return f.write(regCommand, 2, c|CommandNoINTx)
}

func (f *Function) connectMSI() (Interrupt, error) {
	at := f.Capability(CapMSI)
	if at == 0 {
		return nil, errNo
	}
	irq, address, data, err := f.host.Message()
	if err != nil {
		return nil, err
	}
	control := f.read(at+msiControl, 2)
	dataAt := at + 8
	if control&msiWide != 0 {
		dataAt = at + 12
	} else if address>>32 != 0 {
		return nil, fmt.Errorf("the message's address %#x is too wide for it", address)
	}
	err = errors.Join(
		f.write(at+msiControl, 2, control&^(msiEnable|msiMultiple)),
		f.write(at+msiAddress, 4, uint32(address)),
		f.write(dataAt, 2, data&0xFFFF),
	)
	if control&msiWide != 0 {
		err = errors.Join(err, f.write(at+8, 4, uint32(address>>32)))
	}
	if control&msiMaskable != 0 {
		err = errors.Join(err, f.write(dataAt+4, 4, 0))
	}
	return irq, errors.Join(err, f.intx(false), f.write(at+msiControl, 2, control&^msiMultiple|msiEnable))
}

func (f *Function) connectMSIX() (Interrupt, error) {
	at := f.Capability(CapMSIX)
	if at == 0 {
		return nil, errNo
	}
	control := f.read(at+msixControl, 2)
	count := uint64(control&msixCount) + 1
	table := f.read(at+msixTable, 4)
	bar, offset := int(table&7), uint64(table&^7)
	b, err := f.BAR(bar)
	if err != nil {
		return nil, err
	}
	if b.IO || b.Base == 0 || offset >= b.Size || count*msixEntry > b.Size-offset {
		return nil, fmt.Errorf("its table of %d entries at %#x isn't within base address register %d", count, offset, bar)
	}
	entries, err := f.host.Map(f.Address, bar, offset, count*msixEntry)
	if err != nil {
		return nil, err
	}
	irq, address, data, err := f.host.Message()
	if err != nil {
		return nil, err
	}
	// The table can be written once the function is enabled; all of it is masked until then.
	if err := f.write(at+msixControl, 2, control|msixEnable|msixMask); err != nil {
		return nil, err
	}
	for i := range int(count) {
		entries.Write32(i*msixEntry+12, 1)
	}
	entries.Write32(0, uint32(address))
	entries.Write32(4, uint32(address>>32))
	entries.Write32(8, data)
	entries.Write32(12, 0)
	return irq, errors.Join(f.intx(false), f.write(at+msixControl, 2, control&^msixMask|msixEnable))
}

// connectLine takes the interrupt that the firmware has written into Interrupt Line. Where that is
// the wrong one, as it may be on machines whose routing only AML tells, nic.Serve notices.
func (f *Function) connectLine() (Interrupt, error) {
	if pin := f.read(regPin, 1); pin == 0 || pin > 4 {
		return nil, errNo
	}
	line := uint8(f.read(regLine, 1))
	if line == 0 || line == 0xFF {
		return nil, fmt.Errorf("the firmware has given it no line (%#x)", line)
	}
	irq, err := f.host.Line(line)
	if err != nil {
		return nil, fmt.Errorf("line %d: %w", line, err)
	}
	return irq, f.intx(true)
}
