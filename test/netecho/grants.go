package main

import (
	"errors"
	"fmt"

	"keel/drivers/pci"
	"keel/vmkernel/linux"
	"keel/vmkernel/sys"
)

// tryGrants moves a card's registers over what isn't a driver's, as far as the card says, and asks for
// them; it reaches for bridges, too, and for more than there is. All must be refused.
func tryGrants(card pci.Address) (refused int, err error) {
	a := sys.PCIAddress(card)
	const command, bar = 4, 0x10
	was, err := sys.PCIRead(a, bar, 4)
	if err != nil {
		return 0, err
	}
	enabled, err := sys.PCIRead(a, command, 2)
	if err != nil {
		return 0, err
	}
	if err := sys.PCIWrite(a, command, 2, enabled&^3); err != nil { // it answers nowhere meanwhile
		return 0, err
	}
	defer func() {
		err = errors.Join(err, sys.PCIWrite(a, bar, 4, was), sys.PCIWrite(a, command, 2, enabled))
	}()
	want := func(what string, got, want error) {
		refused++
		if !errors.Is(got, want) {
			err = errors.Join(err, fmt.Errorf("%s: %v, want %v", what, got, want))
		}
	}
	for _, base := range []uint32{0x10_0000, 0x100_0000, 0x180_0000, 0xFEC0_0000, 0xFED0_0000, 0xFEE0_0000} {
		if err := sys.PCIWrite(a, bar, 4, base); err != nil {
			return refused, err
		}
		_, e := sys.BARMap(a, 0, 0, 4096)
		want(fmt.Sprintf("registers at %#x", base), e, linux.EPERM)
	}
	if err := sys.PCIWrite(a, bar, 4, was); err != nil {
		return refused, err
	}
	for _, c := range []struct {
		bar          int
		offset, size uint64
		want         error
	}{
		{0, 0, 0, linux.EINVAL}, {0, 0, sys.MaxRegister + 1, linux.EINVAL}, {6, 0, 4096, linux.EINVAL}, {-1, 0, 4096, linux.EINVAL},
		{0, sys.MaxRegister - 1, sys.MaxRegister, linux.ENODEV}, {0, ^uint64(0), 4096, linux.EINVAL}, {5, 0, 4096, linux.ENODEV},
	} {
		_, e := sys.BARMap(a, c.bar, c.offset, c.size)
		want(fmt.Sprintf("bar %d, %#x bytes at %#x", c.bar, c.size, c.offset), e, c.want)
	}
	bridge := sys.PCIAddress(0)
	want("writing to the host bridge", sys.PCIWrite(bridge, command, 2, 0), linux.EPERM)
	_, e := sys.PCIRead(a, 4096, 4)
	want("reading beyond", e, linux.EINVAL)
	_, e = sys.PCIRead(a, 2, 4)
	want("reading unaligned", e, linux.EINVAL)
	for _, n := range []int{0, -1, sys.MaxDMA + 1} {
		_, _, e := sys.DMAAlloc(n)
		want(fmt.Sprintf("%d bytes for a device", n), e, linux.EINVAL)
	}
	_, e = sys.IRQLine(5000)
	want("a pin that isn't", e, linux.ENODEV)
	_, e = sys.IRQWait(sys.FirstDeviceIRQ+sys.NumDeviceIRQs-1, 0)
	want("waiting for what wasn't given", e, linux.ENODEV)
	_, e = sys.IRQWait(sys.FirstDeviceIRQ+sys.NumDeviceIRQs, 0)
	want("waiting for what isn't", e, linux.EINVAL)
	return refused, err
}
