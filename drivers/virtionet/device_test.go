package virtionet

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"keel/drivers/nic"
)

func frameOf(i, n int) []byte {
	b := make([]byte, n)
	for k := range b {
		b[k] = byte(i + k)
	}
	return b
}

func TestFramesGoBothWays(t *testing.T) {
	c, d, s := started(t)
	if d.MAC() != testMAC || !d.Link().Up || !d.Sums() || d.features&(1<<15|1<<38) != 0 {
		t.Errorf("%v, %v, features %#x", d.MAC(), d.Link(), d.features)
	}
	const many = 70_000 // the indices wrap
	for i := range many {
		n := 60 + i%1454
		if !c.receive(frameOf(i, n), byte(i%3)) {
			t.Fatalf("no buffer at %d", i)
		}
		if i%100 == 99 {
			d.service(false)
		}
		if !d.Send(&nic.Frame{Parts: [][]byte{frameOf(i, 54), frameOf(i+54, n-54)}}) {
			t.Fatalf("frame %d was dropped", i)
		}
	}
	d.service(false)
	for i := range many {
		want := frameOf(i, 60+i%1454)
		if !bytes.Equal(s.frames[i], want) || s.summed[i] != (i%3 != 0) {
			t.Fatalf("received %d: % x, summed %v", i, s.frames[i][:16], s.summed[i])
		}
		if !bytes.Equal(c.sent[i][headerSize:], want) || !bytes.Equal(c.sent[i][:headerSize], make([]byte, headerSize)) {
			t.Fatalf("sent %d: % x", i, c.sent[i][:32])
		}
	}
	if st := d.Stats(); st.Received != many || st.Sent != many || st.Dropped+st.Bad+st.Resets != 0 {
		t.Errorf("%+v", st)
	}
}

func TestChecksumsAreTheDevices(t *testing.T) {
	c, d, _ := started(t)
	d.Send(&nic.Frame{Parts: [][]byte{frameOf(0, 100)}, Sum: nic.Checksum{Start: 34, Offset: 16}})
	h := c.sent[0][:headerSize]
	if h[0] != flagNeedsSum || binary.LittleEndian.Uint16(h[6:]) != 34 || binary.LittleEndian.Uint16(h[8:]) != 16 {
		t.Errorf("header % x", h)
	}
	if d.Send(&nic.Frame{Parts: [][]byte{frameOf(0, 100)}, Sum: nic.Checksum{Start: 90, Offset: 16}}) {
		t.Error("a checksum outside the frame was taken")
	}
}

func TestLinkChanges(t *testing.T) {
	c, d, s := started(t)
	c.Bytes[fakeConfig+configStatus] = 0
	d.service(false)
	if d.Send(&nic.Frame{Parts: [][]byte{frameOf(0, 60)}}) {
		t.Error("sent without a link")
	}
	c.Bytes[fakeConfig+configStatus] = linkUp
	d.service(false)
	if !d.Send(&nic.Frame{Parts: [][]byte{frameOf(0, 60)}}) {
		t.Error("not sent, with the link back")
	}
	if got := fmt.Sprint(s.links); got != "[up down up]" {
		t.Errorf("told of %s", got)
	}
}

func TestBrokenDeviceIsReset(t *testing.T) {
	for _, b := range []struct {
		name    string
		breakIt func(*chip, *Device)
		want    string
	}{
		{"a buffer that it doesn't have", func(c *chip, _ *Device) { c.back(0, 5000, 60) }, "buffer 5000 comes back"},
		{"a frame sent twice", func(c *chip, d *Device) {
			c.hung = true
			d.Send(&nic.Frame{Parts: [][]byte{frameOf(0, 60)}})
			d.Send(&nic.Frame{Parts: [][]byte{frameOf(0, 60)}})
			id, _ := c.next(1)
			c.back(1, uint32(id), 0)
			c.back(1, uint32(id), 0)
			c.hung = false
		}, "which the device doesn't have"},
		{"longer than its buffer", func(c *chip, _ *Device) { id, _ := c.next(0); c.back(0, uint32(id), 4096) }, "4096 bytes were written"},
		{"more than there are", func(c *chip, d *Device) { d.rx.memory.Store16(usedIdx, 300) }, "300 buffers come back"},
		{"backwards", func(c *chip, d *Device) { d.rx.memory.Store16(usedIdx, 0xFFFF) }, "65535 buffers come back"},
		{"sends what it wasn't given", func(c *chip, _ *Device) { c.back(1, 3, 0) }, "it has 0"},
		{"asks for it", func(c *chip, _ *Device) { c.Bytes[commonStatus] |= statusNeedsReset }, "asks for it"},
		{"sends nothing", func(c *chip, d *Device) {
			c.hung = true
			d.Send(&nic.Frame{Parts: [][]byte{frameOf(0, 60)}})
			time.Sleep(2 * stuck)
			c.hung = false
		}, "has been sent"},
	} {
		t.Run(b.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, d, s := started(t)
				time.Sleep(2 * resetEvery)
				before := c.resets
				b.breakIt(c, d)
				d.service(true)
				if c.resets != before+1 || len(s.trouble) != 1 || !strings.Contains(s.trouble[0].Error(), b.want) {
					t.Fatalf("%d resets, %v", c.resets-before, s.trouble)
				}
				n := len(s.frames)
				if !c.receive(frameOf(7, 99), 0) || !d.Send(&nic.Frame{Parts: [][]byte{frameOf(0, 60)}}) {
					t.Error("it doesn't go on")
				}
				d.service(false)
				if len(s.frames) != n+1 || d.Stats().Resets != 1 || !bytes.Equal(s.frames[n], frameOf(7, 99)) {
					t.Errorf("%d frames, %+v", len(s.frames), d.Stats())
				}
			})
		})
	}
}

func TestDevicesThatCannotBeOpened(t *testing.T) {
	for _, b := range []struct {
		name string
		set  func(*chip)
		want string
	}{
		{"of old", func(c *chip) { c.offers &^= featureVersion1 }, "its features are"},
		{"without an address", func(c *chip) { c.offers &^= featureMAC }, "its features are"},
		{"a group's address", func(c *chip) { c.Bytes[fakeConfig] = 1 }, "no card's address"},
		{"never ends a reset", func(c *chip) { c.stuck = true }, "doesn't end its reset"},
	} {
		c, fn := newChip()
		b.set(c)
		if _, err := Open(fn); err == nil || !strings.Contains(err.Error(), b.want) {
			t.Errorf("%s: %v", b.name, err)
		}
	}
	for _, at := range []int{0x40, 0x58, 0x70, 0x88} { // each capability of the four
		for _, broken := range []uint32{0x4000, 0x3FFF, 0xFFFF_FFFC} {
			c, _ := newChip()
			f := c.host.Functions[0x18]
			f.Put32(at+capOffset, broken)
			if _, err := Open(newWalk(c)); err == nil || !strings.Contains(err.Error(), "no registers of VIRTIO 1.0") {
				t.Errorf("registers at %#x: %v", broken, err)
			}
		}
	}
}

func TestQueuesOfOtherSizes(t *testing.T) {
	for size, want := range map[uint16]int{1024: 256, 256: 256, 100: 64, 4: 4, 2: 0} {
		c, fn := newChip()
		c.q[0].size, c.q[1].size = size, size
		n, err := Open(fn)
		if err != nil {
			t.Fatal(err)
		}
		d := n.(*Device)
		err = d.prepare(&sink{})
		if (err == nil) != (want != 0) || err == nil && (d.rx.n != want || int(c.q[1].size) != want) {
			t.Errorf("%d: %d, %v", size, d.rx.n, err)
		}
	}
}

// FuzzUsedRing lets a device write what it likes into its part of the queues and before its frames: nothing may be passed on
// that is longer than a buffer, no buffer may come twice, and the driver goes on or resets it.
func FuzzUsedRing(f *testing.F) {
	f.Add([]byte{1, 0, 0, 0, 0, 0, 60, 0, 0, 0}, []byte{1, 0}, []byte{flagNeedsSum})
	f.Add(bytes.Repeat([]byte{0xFF}, 100), bytes.Repeat([]byte{9}, 100), bytes.Repeat([]byte{0xFF}, headerSize))
	f.Fuzz(func(t *testing.T, rx, tx, header []byte) {
		_, d, s := started(t)
		for range 3 {
			d.Send(&nic.Frame{Parts: [][]byte{frameOf(0, 60)}})
		}
		copy(d.rx.memory.Bytes(usedAt+2, queueBytes-usedAt-2), rx)
		copy(d.tx.memory.Bytes(usedAt+2, queueBytes-usedAt-2), tx)
		for i := range d.rx.n {
			copy(d.rx.buffers.Bytes(i*bufferSize, headerSize), header)
		}
		for i := range 4 {
			d.service(i == 3)
			for range 3 {
				d.mu.Lock()
				err := d.reclaim()
				free, out := len(d.free), d.tx.outCount
				d.mu.Unlock()
				if free+out != d.tx.n {
					t.Fatalf("%d buffers are free, %d out, of %d", free, out, d.tx.n)
				}
				if err == nil && free > 0 {
					d.Send(&nic.Frame{Parts: [][]byte{frameOf(0, 60)}})
				}
			}
		}
		if d.broken == nil && d.rx.outCount != d.rx.n {
			t.Fatalf("%d receive buffers are out, of %d", d.rx.outCount, d.rx.n)
		}
		for _, b := range s.frames {
			if len(b) < nic.HeaderSize || len(b) > bufferSize-headerSize {
				t.Fatalf("a frame of %d bytes", len(b))
			}
		}
	})
}
