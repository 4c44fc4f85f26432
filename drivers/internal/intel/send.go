package intel

import (
	"time"

	"keel/drivers/nic"
)

// Send implements nic.NIC. Frames that are sent don't interrupt: their descriptors come back when the
// next are needed.
func (c *Card) Send(f *nic.Frame) bool {
	n := f.Len()
	if c.link.Load() == 0 || n < nic.HeaderSize || n > nic.MaxFrame || len(f.Parts) == 0 {
		c.Dropped.Add(1)
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopped || !c.room() {
		c.Dropped.Add(1)
		return false
	}
	span, i := 1, (c.tx.head+c.tx.used)%txEntries
	options := uint64(0)
	if s := f.Sum; s != (nic.Checksum{}) {
		options = txTXSM
		if s.Start < nic.HeaderSize || s.Offset < 0 || s.Start+s.Offset+2 > n || s.Start+s.Offset > 0xFF {
			c.Dropped.Add(1)
			return false
		}
		if s != c.context {
			// The context stays for the frames that follow.
			c.context = s
			c.tx.set(i, uint64(s.Start)<<32|uint64(s.Start+s.Offset)<<40, txDEXT|txTCP)
			span, i = 2, (i+1)%txEntries
		}
	}
	to := c.tx.buffers.Bytes(i*bufferSize, bufferSize)
	at := 0
	for _, p := range f.Parts {
		at += copy(to[at:], p)
	}
	c.tx.set(i, c.tx.buffer(i), uint64(n)|txData|txEOP|txIFCS|txRS|txDEXT|options)
	first := (c.tx.head + c.tx.used) % txEntries
	c.spans[first], c.since[first] = uint8(span), time.Now()
	c.tx.used += span
	c.r.Write32(regTDT, uint32((i+1)%txEntries))
	c.Sent.Add(1)
	c.SentBytes.Add(uint64(n))
	return true
}

// reserve is how many descriptors stay empty: one, or head and tail would be equal in a full ring,
// and two that a frame may take.
const reserve = 3

// room says whether two descriptors are free, and waits a little for them: a ring takes 1.5 ms at
// 1 Gbit/s. The lock is held.
func (c *Card) room() bool {
	c.reclaim()
	for try := 0; c.tx.used > txEntries-reserve; try++ {
		if try == 10 {
			return false
		}
		c.mu.Unlock()
		time.Sleep(200 * time.Microsecond)
		c.mu.Lock()
		if c.stopped {
			return false
		}
		c.reclaim()
	}
	return true
}

// reclaim takes back what was sent, in order. The lock is held.
func (c *Card) reclaim() {
	for c.tx.used > 0 {
		span := int(c.spans[c.tx.head])
		if c.tx.state((c.tx.head+span-1)%txEntries)&txDD == 0 {
			return
		}
		c.spans[c.tx.head] = 0
		c.tx.head = (c.tx.head + span) % txEntries
		c.tx.used -= span
	}
}
