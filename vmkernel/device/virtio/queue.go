package virtio

import (
	"errors"
	"fmt"
	"sync/atomic"

	"keel/vmkernel/vm/guestmem"
)

// Flags of a descriptor (2.7.5), and of the available ring (2.7.6).
const (
	descNext     = 1
	descWrite    = 2
	descIndirect = 4

	availNoInterrupt = 1
)

// Sizes in bytes of a descriptor, of a ring's flags and index, and of an element of the used ring.
const (
	descSize   = 16
	ringHeader = 4
	usedSize   = 8
)

// MaxQueue is the largest size of a queue that a device may offer.
const MaxQueue = 256

// A Buffer is a piece of guest memory in a chain, as the driver describes it: nobody has checked that it is RAM.
type Buffer struct {
	Addr  uint64
	Len   uint32
	Write bool // for the device to write; else to read
}

// A Queue is a split virtqueue as the device sees it (2.7).
type Queue struct {
	mem      *guestmem.Memory
	size     uint16 // a power of two, at most MaxQueue
	most     uint16 // what size may be
	ready    bool
	indirect bool // the feature was negotiated

	desc, avail, used uint64

	next    uint16 // index of the next element of the available ring
	usedIdx uint16
	fence   atomic.Uint32

	chain [MaxQueue]Buffer
}

// Ready says whether the driver has made the queue ready.
func (q *Queue) Ready() bool { return q.ready }

// Size is how many chains the queue can hold.
func (q *Queue) Size() int { return int(q.size) }

func (q *Queue) reset() {
	*q = Queue{most: q.most, size: q.most}
}

// enable checks what the driver has set and makes the queue ready.
func (q *Queue) enable(mem *guestmem.Memory) error {
	switch {
	case mem == nil:
		return errors.New("virtio: there is no guest memory yet")
	case q.size == 0 || q.size&(q.size-1) != 0 || q.size > q.most:
		return fmt.Errorf("virtio: a queue of size %d is not possible", q.size)
	case q.desc%16 != 0 || q.avail%2 != 0 || q.used%4 != 0:
		return fmt.Errorf("virtio: a part of the queue is not aligned: %#x, %#x, %#x", q.desc, q.avail, q.used)
	}
	n := uint64(q.size)
	for _, part := range [...]struct{ at, bytes uint64 }{{q.desc, descSize * n}, {q.avail, ringHeader + 2*n}, {q.used, ringHeader + usedSize*n}} {
		if _, err := mem.Slice(part.at, part.bytes); err != nil {
			return err
		}
	}
	q.mem, q.ready = mem, true
	q.next, q.usedIdx = 0, 0
	return nil
}

// Pending is how many chains the driver has made available that weren't popped. A driver that claims more than the
// queue can hold is broken.
func (q *Queue) Pending() (int, error) {
	idx, err := q.mem.Read16(q.avail + 2)
	if err != nil {
		return 0, err
	}
	n := idx - q.next
	if n > q.size {
		return 0, fmt.Errorf("virtio: %d chains are available in a queue of %d", n, q.size)
	}
	return int(n), nil
}

// Pop takes the next chain, of those that Pending counted. The buffers are the queue's own until the next Pop, those to
// read before those to write (2.7.4.2), at most Size of them.
func (q *Queue) Pop() (head uint16, chain []Buffer, err error) {
	head, err = q.mem.Read16(q.avail + ringHeader + 2*uint64(q.next&(q.size-1)))
	if err != nil {
		return 0, nil, err
	}
	if head >= q.size {
		return 0, nil, fmt.Errorf("virtio: chain %d in a queue of %d", head, q.size)
	}
	q.next++
	table, entries, at := q.desc, uint32(q.size), uint32(head)
	inside := false
	for n := 0; ; {
		if n == int(q.size) {
			return 0, nil, fmt.Errorf("virtio: a chain has more than %d descriptors, or is a loop", q.size)
		}
		var raw [descSize]byte
		if err := q.mem.ReadAt(raw[:], table+descSize*uint64(at)); err != nil {
			return 0, nil, err
		}
		addr, length, flags, next := le.Uint64(raw[:]), le.Uint32(raw[8:]), le.Uint16(raw[12:]), le.Uint16(raw[14:])
		if flags&descIndirect != 0 {
			// A table of its own, which ends the chain and holds no other (2.7.5.3).
			switch {
			case !q.indirect:
				return 0, nil, errors.New("virtio: an indirect table without the feature")
			case inside || flags&descNext != 0:
				return 0, nil, errors.New("virtio: an indirect table within a chain's middle or another table")
			case length == 0 || length%descSize != 0 || length/descSize > uint32(q.size):
				return 0, nil, fmt.Errorf("virtio: an indirect table of %d bytes in a queue of %d", length, q.size)
			}
			if _, err := q.mem.Slice(addr, uint64(length)); err != nil {
				return 0, nil, err
			}
			table, entries, at, inside = addr, length/descSize, 0, true
			continue // can't come back here: inside is set
		}
		b := Buffer{addr, length, flags&descWrite != 0}
		if n > 0 && q.chain[n-1].Write && !b.Write {
			return 0, nil, errors.New("virtio: a buffer to read follows one to write")
		}
		q.chain[n] = b
		n++
		if flags&descNext == 0 {
			return head, q.chain[:n], nil
		}
		if at = uint32(next); at >= entries {
			return 0, nil, fmt.Errorf("virtio: descriptor %d in a table of %d", at, entries)
		}
	}
}

// Push gives a chain back to the driver, with written bytes in its buffers to write.
func (q *Queue) Push(head uint16, written uint32) error {
	if !q.ready {
		return errors.New("virtio: the queue is not ready")
	}
	var raw [usedSize]byte
	le.PutUint32(raw[:], uint32(head))
	le.PutUint32(raw[4:], written)
	if err := q.mem.WriteAt(raw[:], q.used+ringHeader+usedSize*uint64(q.usedIdx&(q.size-1))); err != nil {
		return err
	}
	q.usedIdx++
	// Stores stay in order on this processor architecture, so that the element is there when the index says so.
	return q.mem.Write16(q.used+2, q.usedIdx)
}

// wantsInterrupt says whether the driver wants to hear of what was pushed.
func (q *Queue) wantsInterrupt() bool {
	// The index must be visible before the flags are read (2.7.7.1), which takes more than the order of stores.
	q.fence.Add(1)
	flags, err := q.mem.Read16(q.avail)
	return err == nil && flags&availNoInterrupt == 0
}
