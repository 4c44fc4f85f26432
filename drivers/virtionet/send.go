package virtionet

import (
	"encoding/binary"
	"time"

	"keel/drivers/nic"
)

// Send implements nic.NIC.
func (d *Device) Send(f *nic.Frame) bool {
	n := f.Len()
	s := f.Sum
	bad := s != (nic.Checksum{}) && (!d.Sums() || s.Start < nic.HeaderSize || s.Offset < 0 || s.Start+s.Offset+2 > n)
	if !d.up.Load() || n < nic.HeaderSize || n > nic.MaxFrame || bad {
		d.Dropped.Add(1)
		return false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.stopped || !d.room() {
		d.Dropped.Add(1)
		return false
	}
	i := d.free[len(d.free)-1]
	d.free = d.free[:len(d.free)-1]
	b := d.tx.buffers.Bytes(i*bufferSize, headerSize+n)
	clear(b[:headerSize])
	if s != (nic.Checksum{}) {
		b[0] = flagNeedsSum
		binary.LittleEndian.PutUint16(b[6:], uint16(s.Start))
		binary.LittleEndian.PutUint16(b[8:], uint16(s.Offset))
	}
	at := headerSize
	for _, p := range f.Parts {
		at += copy(b[at:], p)
	}
	if d.tx.outCount == 0 {
		d.moved = time.Now()
	}
	d.tx.put(i, headerSize+n, false)
	d.tx.tell(d)
	d.Sent.Add(1)
	d.SentBytes.Add(uint64(n))
	return true
}

// room says whether a buffer is free, and waits a little for one. The lock is held.
func (d *Device) room() bool {
	for try := 0; ; try++ {
		if d.reclaim() != nil {
			return false // the next patrol resets the device
		}
		if len(d.free) > 0 {
			return true
		}
		if try == 10 || d.stopped {
			return false
		}
		d.mu.Unlock()
		time.Sleep(200 * time.Microsecond)
		d.mu.Lock()
	}
}

// reclaim takes back what was sent. The lock is held.
func (d *Device) reclaim() error {
	for {
		i, _, ok, err := d.tx.take()
		if err != nil || !ok {
			return err
		}
		d.free = append(d.free, i)
		d.moved = time.Now()
	}
}
