// Package virtiotest is a driver for tests of virtio devices: it does what a guest's kernel does, through the registers
// and in the guest's memory, and can be told to do it wrong. Only tests import it.
package virtiotest

import (
	"testing"

	"keel/vmkernel/device/virtio"
	"keel/vmkernel/vm/guestmem"
)

// Offsets of registers (virtio 1.2, 4.2.2).
const (
	DeviceFeatures, DeviceFeaturesSel = 0x010, 0x014
	DriverFeatures, DriverFeaturesSel = 0x020, 0x024
	QueueSel, QueueSizeMax, QueueSize = 0x030, 0x034, 0x038
	QueueReady, QueueNotify           = 0x044, 0x050
	InterruptStatus, InterruptACK     = 0x060, 0x064
	Status                            = 0x070
	QueueDesc, QueueDriver, QueueDev  = 0x080, 0x090, 0x0A0
	Generation, Config                = 0x0FC, 0x100
)

// A Line is an interrupt line that remembers.
type Line struct{ High bool }

// Set sets the level.
func (l *Line) Set(level bool) { l.High = level }

// A Driver drives one device.
type Driver struct {
	TB  testing.TB
	Dev *virtio.MMIO
	Mem *guestmem.Memory
}

// Memory returns so many bytes of RAM from address 0.
func Memory(tb testing.TB, size int) *guestmem.Memory {
	tb.Helper()
	m, err := guestmem.New(guestmem.Range{Bytes: make([]byte, size)})
	if err != nil {
		tb.Fatal(err)
	}
	return m
}

// Get reads a register.
func (d *Driver) Get(reg uint64) uint32 { return uint32(d.Dev.Read(reg, 4)) }

// Set writes a register.
func (d *Driver) Set(reg uint64, v uint32) { d.Dev.Write(reg, 4, uint64(v)) }

// Offered are the device's features.
func (d *Driver) Offered() uint64 {
	d.Set(DeviceFeaturesSel, 1)
	v := uint64(d.Get(DeviceFeatures)) << 32
	d.Set(DeviceFeaturesSel, 0)
	return v | uint64(d.Get(DeviceFeatures))
}

// Negotiate resets the device and goes as far as features, which it says whether the device took.
func (d *Driver) Negotiate(features uint64) bool {
	d.Set(Status, 0)
	d.Set(Status, virtio.StatusAcknowledge)
	d.Set(Status, virtio.StatusAcknowledge|virtio.StatusDriver)
	for i := range uint32(2) {
		d.Set(DriverFeaturesSel, i)
		d.Set(DriverFeatures, uint32(features>>(32*i)))
	}
	d.Set(Status, d.Get(Status)|virtio.StatusFeaturesOK)
	return d.Get(Status)&virtio.StatusFeaturesOK != 0
}

// OK says that the driver is ready.
func (d *Driver) OK() { d.Set(Status, d.Get(Status)|virtio.StatusDriverOK) }

// Broken says whether the device needs a reset.
func (d *Driver) Broken() bool { return d.Get(Status)&virtio.StatusNeedsReset != 0 }

// A Ring is a queue from the driver's side. Its three parts take a page each from At on.
type Ring struct {
	D      *Driver
	Number uint32
	Size   uint16
	At     uint64

	avail, used uint16
	free        uint16 // the next descriptor; they are used round and round
}

// Ring makes queue number ready, of size entries, at an address.
func (d *Driver) Ring(number uint32, size uint16, at uint64) *Ring {
	d.Set(QueueSel, number)
	d.Set(QueueSize, uint32(size))
	for i, reg := range []uint64{QueueDesc, QueueDriver, QueueDev} {
		d.Set(reg, uint32(at+uint64(i)<<12))
		d.Set(reg+4, uint32((at+uint64(i)<<12)>>32))
	}
	d.Set(QueueReady, 1)
	return &Ring{D: d, Number: number, Size: size, At: at}
}

// Descriptor writes descriptor i of the table at table.
func (d *Driver) Descriptor(table uint64, i uint16, addr uint64, length uint32, flags, next uint16) {
	at := table + 16*uint64(i)
	d.write(at, addr, 8)
	d.write(at+8, uint64(length), 4)
	d.write(at+12, uint64(flags), 2)
	d.write(at+14, uint64(next), 2)
}

func (d *Driver) write(gpa, v uint64, n int) {
	var b [8]byte
	for i := range b {
		b[i] = byte(v >> (8 * i))
	}
	if err := d.Mem.WriteAt(b[:n], gpa); err != nil {
		d.TB.Fatal(err)
	}
}

// Chain writes a chain and returns its head, which isn't available yet.
func (r *Ring) Chain(list ...virtio.Buffer) uint16 {
	head := r.free % r.Size
	for i, b := range list {
		flags, at := uint16(0), r.free%r.Size
		r.free++
		if b.Write {
			flags |= 2
		}
		if i < len(list)-1 {
			flags |= 1
		}
		r.D.Descriptor(r.At, at, b.Addr, b.Len, flags, r.free%r.Size)
	}
	return head
}

// Offer makes chains available, without a notification.
func (r *Ring) Offer(heads ...uint16) {
	for _, h := range heads {
		r.D.write(r.At+1<<12+4+2*uint64(r.avail%r.Size), uint64(h), 2)
		r.avail++
	}
	r.D.write(r.At+1<<12+2, uint64(r.avail), 2)
}

// Claim makes the available ring say that there are n more than there are.
func (r *Ring) Claim(n uint16) { r.avail += n; r.Offer() }

// Kick notifies the device.
func (r *Ring) Kick() { r.D.Set(QueueNotify, r.Number) }

// Send makes a chain available and notifies the device.
func (r *Ring) Send(list ...virtio.Buffer) uint16 {
	h := r.Chain(list...)
	r.Offer(h)
	r.Kick()
	return h
}

// Used returns the heads of the chains that came back since the last call.
func (r *Ring) Used() (heads []uint16) {
	idx, err := r.D.Mem.Read16(r.At + 2<<12 + 2)
	for ; err == nil && r.used != idx && len(heads) <= int(r.Size); r.used++ {
		var h uint16
		h, err = r.D.Mem.Read16(r.At + 2<<12 + 4 + 8*uint64(r.used%r.Size))
		heads = append(heads, h)
	}
	if err != nil {
		r.D.TB.Fatal(err)
	}
	return heads
}

// NoInterrupt sets the flag by which the driver asks for no interrupts.
func (r *Ring) NoInterrupt(on bool) {
	v := uint64(0)
	if on {
		v = 1
	}
	r.D.write(r.At+1<<12, v, 2)
}
