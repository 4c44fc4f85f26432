package virtionet

import (
	"errors"
	"fmt"

	"keel/drivers/dma"
	"keel/drivers/pci"
)

// Sizes: entries of a queue at most, bytes of the buffer that each has, and of the header before a
// frame (virtio 5.1.6).
const (
	maxEntries = 256
	minEntries = 4
	bufferSize = 2048
	headerSize = 12
)

// Layout of a split virtqueue (virtio 2.7) in its memory. used begins so that its elements are
// aligned to 8.
const (
	descSize    = 16
	availAt     = maxEntries * descSize
	availIdx    = availAt + 2
	availRing   = availAt + 4
	usedAt      = availAt + 4 + 2*maxEntries + 2 + 6
	usedIdx     = usedAt + 2
	usedRing    = usedAt + 4
	usedElement = 8
	queueBytes  = usedRing + maxEntries*usedElement + 2

	descWrite   = 2 // flag: the device writes there
	noInterrupt = 1 // flag of the available ring
)

// A queue is a split virtqueue whose descriptor i is always of buffer i.
type queue struct {
	index   int
	n       int // entries, a power of 2
	memory  *dma.Memory
	buffers *dma.Memory
	notify  int // where in the notification's registers

	avail, used uint16 // indices: what was given, what came back
	out         [maxEntries]bool
	outCount    int
}

// errQueue says that a device has none.
var errQueue = errors.New("the device has no such queue, or a tiny one")

// open reads the queue's size, and takes memory where it has none yet.
func (q *queue) open(d *Device, index int) (err error) {
	c := d.r.common
	q.index = index
	c.Write16(commonSelect, uint16(index))
	size := int(c.Read16(commonSize))
	q.n = maxEntries
	for q.n > size {
		q.n /= 2
	}
	off := uint64(c.Read16(commonNotifyOff)) * uint64(d.r.multiplier)
	if q.n < minEntries {
		return fmt.Errorf("%s: %v: queue %d of %d: %w", Name, d.fn, index, size, errQueue)
	}
	if off&1 != 0 || off > uint64(d.r.notify.Size()-2) {
		return fmt.Errorf("%s: %v: queue %d is notified at %#x, beyond its registers", Name, d.fn, index, off)
	}
	q.notify = int(off)
	return q.alloc(d.fn.Host())
}

func (q *queue) alloc(h pci.Host) (err error) {
	if q.memory == nil {
		if q.memory, err = h.DMA(queueBytes); err != nil {
			return err
		}
	}
	if q.buffers == nil {
		q.buffers, err = h.DMA(maxEntries * bufferSize)
	}
	return err
}

// enable gives an empty queue to the device.
func (q *queue) enable(d *Device, vector uint16, interrupts bool) error {
	q.memory.Clear(0, queueBytes)
	q.avail, q.used, q.outCount = 0, 0, 0
	q.out = [maxEntries]bool{}
	if !interrupts {
		q.memory.Store16(availAt, noInterrupt)
	}
	c := d.r.common
	c.Write16(commonSelect, uint16(q.index))
	c.Write16(commonSize, uint16(q.n))
	c.Write16(commonQueueVector, vector)
	if c.Read16(commonQueueVector) != vector {
		return fmt.Errorf("%s: %v: queue %d takes no interrupt", Name, d.fn, q.index)
	}
	for _, r := range [...]struct{ reg, at int }{{commonDescriptors, 0}, {commonAvailable, availAt}, {commonUsed, usedAt}} {
		bus := q.memory.Bus(r.at)
		c.Write32(r.reg, uint32(bus))
		c.Write32(r.reg+4, uint32(bus>>32))
	}
	c.Write16(commonEnable, 1)
	return nil
}

// put gives buffer i to the device: n bytes, that it writes or reads. It is not told yet.
func (q *queue) put(i, n int, write bool) {
	flags := uint64(0)
	if write {
		flags = descWrite
	}
	q.memory.Store64(i*descSize, q.buffers.Bus(i*bufferSize))
	q.memory.Store64(i*descSize+8, uint64(n)|flags<<32)
	q.memory.Store16(availRing+2*(int(q.avail)&(q.n-1)), uint16(i))
	q.avail++
	q.memory.Store16(availIdx, q.avail) // after what it announces: x86 keeps stores in order
	q.out[i] = true
	q.outCount++
}

// take is the next buffer that the device has given back, and how many bytes it says that it has
// written. ok is false where there is none. What can't be is an error.
func (q *queue) take() (i, n int, ok bool, err error) {
	index := q.memory.Load16(usedIdx)
	if index == q.used {
		return 0, 0, false, nil
	}
	if int(index-q.used) > q.outCount {
		return 0, 0, false, fmt.Errorf("queue %d: %d buffers come back, it has %d", q.index, index-q.used, q.outCount)
	}
	e := q.memory.Load64(usedRing + usedElement*(int(q.used)&(q.n-1)))
	id, length := uint32(e), e>>32
	if id >= uint32(q.n) || !q.out[id] {
		return 0, 0, false, fmt.Errorf("queue %d: buffer %d comes back, which the device doesn't have", q.index, id)
	}
	if length > bufferSize {
		return 0, 0, false, fmt.Errorf("queue %d: %d bytes were written into a buffer of %d", q.index, length, bufferSize)
	}
	q.used++
	q.out[id] = false
	q.outCount--
	return int(id), int(length), true, nil
}

// tell notifies the device of what it was given.
func (q *queue) tell(d *Device) { d.r.notify.Write16(q.notify, uint16(q.index)) }
