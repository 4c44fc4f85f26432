package intel

import (
	"keel/drivers/dma"
	"keel/drivers/pci"
)

// Sizes: entries of the rings, and bytes of the buffer that each has.
const (
	rxEntries  = 256
	txEntries  = 128
	bufferSize = 2048 // what the card is told as well (RCTL.BSIZE 0)
)

// A ring is descriptors and a buffer for each.
type ring struct {
	descriptors *dma.Memory
	buffers     *dma.Memory
	n           int
	head        int // oldest that is the card's
	used        int // that are the card's, of a ring to send
}

func (r *ring) alloc(h pci.Host, n int) (err error) {
	r.n = n
	if r.descriptors, err = h.DMA(n * descSize); err != nil {
		return err
	}
	r.buffers, err = h.DMA(n * bufferSize)
	return err
}

func (r *ring) clear() {
	r.descriptors.Clear(0, r.n*descSize)
	r.head, r.used = 0, 0
}

// set writes descriptor i; what the card looks at first comes last.
func (r *ring) set(i int, low, high uint64) {
	r.descriptors.Store64(i*descSize, low)
	r.descriptors.Store64(i*descSize+8, high)
}

// state is what the card has written into descriptor i: length, status, errors.
func (r *ring) state(i int) uint64 { return r.descriptors.Load64(i*descSize + 8) }

// buffer is the device's address of buffer i.
func (r *ring) buffer(i int) uint64 { return r.buffers.Bus(i * bufferSize) }
