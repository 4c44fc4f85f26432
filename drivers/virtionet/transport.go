package virtionet

import (
	"errors"
	"fmt"
	"time"

	"keel/drivers/nic"
	"keel/drivers/pci"
)

// Name is the driver's.
const Name = "virtio-net"

// The device's PCI identity: transitional devices count where they have the modern capabilities too.
const (
	vendor       = 0x1AF4
	modern       = 0x1041
	transitional = 0x1000
)

// Capabilities of the transport (virtio 4.1.4): what they describe, and where it stands.
const (
	capCommon = 1
	capNotify = 2
	capISR    = 3
	capDevice = 4

	capLength     = 2
	capType       = 3
	capBAR        = 4
	capOffset     = 8
	capSize       = 12
	capMultiplier = 16
)

// The common configuration's registers (virtio 4.1.4.3).
const (
	commonDeviceSelect = 0
	commonDevice       = 4
	commonDriverSelect = 8
	commonDriver       = 12
	commonVector       = 16
	commonQueues       = 18
	commonStatus       = 20
	commonGeneration   = 21
	commonSelect       = 22
	commonSize         = 24
	commonQueueVector  = 26
	commonEnable       = 28
	commonNotifyOff    = 30
	commonDescriptors  = 32
	commonAvailable    = 40
	commonUsed         = 48
	commonLength       = 56

	noVector = 0xFFFF

	statusAcknowledge = 1
	statusDriver      = 2
	statusDriverOK    = 4
	statusFeaturesOK  = 8
	statusNeedsReset  = 64
	statusFailed      = 128
)

// Features (virtio 5.1.3, 6).
const (
	featureCSUM      = 1 << 0
	featureGuestCSUM = 1 << 1
	featureMAC       = 1 << 5
	featureStatus    = 1 << 16
	featureVersion1  = 1 << 32
	featurePlatform  = 1 << 33

	wanted = featureCSUM | featureGuestCSUM | featureMAC | featureStatus | featureVersion1 | featurePlatform
	needed = featureMAC | featureVersion1
)

// The network device's configuration (virtio 5.1.4).
const (
	configMAC    = 0
	configStatus = 6
	linkUp       = 1
)

// Matches says whether the driver is for a function.
func Matches(f *pci.Function) bool {
	return f.Vendor == vendor && (f.Device == modern || f.Device == transitional) && f.Class == pci.ClassEthernet && f.Header == 0
}

// registers are the device's, by capability.
type registers struct {
	common, notify, isr, device pci.Registers
	multiplier                  uint32
}

// findRegisters maps the first of each kind that lies within its base address register.
func findRegisters(fn *pci.Function) (r registers, err error) {
	for _, c := range fn.Capabilities() {
		if c.ID != pci.CapVendor || fn.Config(c.Offset+capLength, 1) < 16 {
			continue
		}
		var to *pci.Registers
		least := uint64(1)
		switch fn.Config(c.Offset+capType, 1) {
		case capCommon:
			to, least = &r.common, commonLength
		case capNotify:
			to, least = &r.notify, 2
		case capISR:
			to = &r.isr
		case capDevice:
			to, least = &r.device, configStatus+2
		}
		if to == nil || *to != nil {
			continue
		}
		bar := int(fn.Config(c.Offset+capBAR, 1))
		offset, size := uint64(fn.Config(c.Offset+capOffset, 4)), uint64(fn.Config(c.Offset+capSize, 4))
		b, err := fn.BAR(bar)
		if err != nil || b.IO || b.Base == 0 || size < least || offset&3 != 0 || offset > b.Size || size > b.Size-offset {
			continue // another capability may describe the same
		}
		size = min(size, 1<<16)
		if *to, err = fn.Host().Map(fn.Address, bar, offset, size); err != nil {
			return r, fmt.Errorf("%s: %v: mapping its registers: %w", Name, fn, err)
		}
		if to == &r.notify {
			r.multiplier = fn.Config(c.Offset+capMultiplier, 4)
		}
	}
	if r.common == nil || r.notify == nil || r.isr == nil || r.device == nil {
		return r, fmt.Errorf("%s: %v: it has no registers of VIRTIO 1.0: switch its modern mode on", Name, fn)
	}
	return r, nil
}

// resetDevice resets the device and waits until it has done so.
func (d *Device) resetDevice() error {
	d.r.common.Write8(commonStatus, 0)
	for range 100 {
		if d.r.common.Read8(commonStatus) == 0 {
			return nil
		}
		time.Sleep(time.Millisecond)
	}
	return fmt.Errorf("%s: %v: the device doesn't end its reset", Name, d.fn)
}

func (d *Device) addStatus(s uint8) {
	d.r.common.Write8(commonStatus, d.r.common.Read8(commonStatus)|s)
}

// negotiate resets the device and agrees on features.
func (d *Device) negotiate() error {
	if err := d.resetDevice(); err != nil {
		return err
	}
	d.addStatus(statusAcknowledge)
	d.addStatus(statusDriver)
	c := d.r.common
	var offered uint64
	for i := range uint32(2) {
		c.Write32(commonDeviceSelect, i)
		offered |= uint64(c.Read32(commonDevice)) << (32 * i)
	}
	if offered&needed != needed {
		return fmt.Errorf("%s: %v: its features are %#x, needed are %#x", Name, d.fn, offered, uint64(needed))
	}
	d.features = offered & wanted
	for i := range uint32(2) {
		c.Write32(commonDriverSelect, i)
		c.Write32(commonDriver, uint32(d.features>>(32*i)))
	}
	d.addStatus(statusFeaturesOK)
	if c.Read8(commonStatus)&statusFeaturesOK == 0 {
		return fmt.Errorf("%s: %v: it takes none of the features %#x", Name, d.fn, d.features)
	}
	return nil
}

// readMAC reads the address; the generation counts changes of the configuration (virtio 4.1.4.3.1).
func (d *Device) readMAC() (m nic.MAC, err error) {
	for range 10 {
		before := d.r.common.Read8(commonGeneration)
		for i := range m {
			m[i] = d.r.device.Read8(configMAC + i)
		}
		if d.r.common.Read8(commonGeneration) == before {
			if !m.Valid() {
				return m, fmt.Errorf("%s: %v: %v is no card's address", Name, d.fn, m)
			}
			return m, nil
		}
	}
	return m, errors.New(Name + ": its configuration doesn't come to rest")
}
