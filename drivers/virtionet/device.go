package virtionet

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"keel/drivers/nic"
	"keel/drivers/pci"
)

// A Device is a virtio network device. It implements nic.NIC.
type Device struct {
	nic.Counters
	fn       *pci.Function
	r        registers
	features uint64
	mac      nic.MAC
	to       nic.Receiver
	irq      pci.Interrupt
	kind     pci.Kind
	up       atomic.Bool

	// Only service touches these.
	rx     queue
	told   bool // of the link
	broken error
	reset  time.Time
	gone   bool

	mu      sync.Mutex // of what follows: sending, and resetting
	stopped bool
	tx      queue
	free    []int // buffers
	moved   time.Time
}

// Open takes the device. It resets it, and doesn't receive before Start.
func Open(fn *pci.Function) (nic.NIC, error) {
	d := &Device{fn: fn}
	if err := fn.Enable(); err != nil {
		return nil, err
	}
	var err error
	if d.r, err = findRegisters(fn); err != nil {
		return nil, err
	}
	if err := d.negotiate(); err != nil {
		return nil, err
	}
	if d.mac, err = d.readMAC(); err != nil {
		return nil, err
	}
	return d, nil
}

// Driver implements nic.NIC.
func (d *Device) Driver() string { return Name }

// MAC implements nic.NIC.
func (d *Device) MAC() nic.MAC { return d.mac }

// Sums implements nic.NIC.
func (d *Device) Sums() bool { return d.features&featureCSUM != 0 }

// Link implements nic.NIC. A device that doesn't tell is always up.
func (d *Device) Link() nic.Link {
	return nic.Link{Up: d.features&featureStatus == 0 || d.r.device.Read16(configStatus)&linkUp != 0}
}

// Start implements nic.NIC.
func (d *Device) Start(to nic.Receiver) error {
	if err := d.prepare(to); err != nil {
		return err
	}
	d.service(true)
	go nic.Serve(d.irq, d.service, to.Trouble)
	return nil
}

// prepare gives the device queues and an interrupt, and has it run.
func (d *Device) prepare(to nic.Receiver) error {
	if d.to != nil {
		return errors.New("the device has been started before")
	}
	d.to = to
	irq, kind, err := d.fn.Connect(pci.MSIX, pci.INTx)
	if err != nil {
		return err
	}
	d.irq, d.kind = irq, kind
	if err := d.run(); err != nil {
		d.addStatus(statusFailed)
		return err
	}
	return nil
}

// run gives a device that has agreed on features its queues (virtio 3.1.1).
func (d *Device) run() error {
	vector := uint16(noVector)
	if d.kind == pci.MSIX {
		vector = 0
	}
	if err := errors.Join(d.rx.open(d, 0), d.tx.open(d, 1)); err != nil {
		return err
	}
	d.r.common.Write16(commonVector, vector)
	if err := errors.Join(d.rx.enable(d, vector, true), d.tx.enable(d, noVector, false)); err != nil {
		return err
	}
	d.free = d.free[:0]
	for i := range d.tx.n {
		d.free = append(d.free, i)
	}
	for i := range d.rx.n {
		d.rx.put(i, bufferSize, true)
	}
	d.addStatus(statusDriverOK)
	d.rx.tell(d)
	return nil
}
