package virtionet

import (
	"errors"
	"fmt"
	"time"

	"keel/drivers/nic"
)

const (
	// resetEvery is how soon after a reset the next may be.
	resetEvery = time.Second
	// stuck is how long frames may lie before any of them is sent, while the link is up.
	stuck = 4 * time.Second

	flagNeedsSum = 1 // of a frame's header (virtio 5.1.6)
	flagSumValid = 2
)

// service does what there is to do: it is called by nic.Serve.
func (d *Device) service(patrol bool) (found bool) {
	d.r.isr.Read8(0) // and clears it: the line's interrupt ends
	if s := d.r.common.Read8(commonStatus); s&statusNeedsReset != 0 && d.broken == nil {
		if d.broken = errors.New("the device asks for it"); s == 0xFF {
			d.broken = errors.New("the device is gone")
		}
	}
	if d.broken == nil {
		found = d.receive()
	}
	if d.broken == nil {
		d.checkLink()
	}
	if d.broken == nil && patrol {
		d.checkSending()
	}
	if d.broken != nil && time.Since(d.reset) >= resetEvery {
		d.restart()
	}
	return found
}

// receive passes on what has come, two rings of it at most.
func (d *Device) receive() (found bool) {
	for range 2 * d.rx.n {
		i, n, ok, err := d.rx.take()
		if err != nil {
			d.broken = err
			return found
		}
		if !ok {
			break
		}
		found = true
		if n < headerSize+nic.HeaderSize {
			d.Bad.Add(1)
		} else {
			b := d.rx.buffers.Bytes(i*bufferSize, n)
			flags := b[0]
			d.Received.Add(1)
			d.ReceivedBytes.Add(uint64(n - headerSize))
			d.to.Receive(b[headerSize:], d.features&featureGuestCSUM != 0 && flags&(flagNeedsSum|flagSumValid) != 0)
		}
		d.rx.put(i, bufferSize, true)
	}
	if found {
		d.rx.tell(d)
	}
	return found
}

func (d *Device) checkLink() {
	l := d.Link()
	if d.told && l.Up == d.up.Load() {
		return
	}
	d.told = true
	d.up.Store(l.Up)
	d.to.LinkChanged(l)
}

// checkSending finds a device that doesn't send.
func (d *Device) checkSending() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.reclaim(); err != nil {
		d.broken = err
		return
	}
	if d.tx.outCount == 0 || !d.up.Load() {
		d.moved = time.Now()
	} else if since := time.Since(d.moved); since > stuck {
		d.broken = fmt.Errorf("none of %d frames has been sent for %v", d.tx.outCount, since.Round(time.Second))
	}
}

// restart resets a device that is broken and sets it up again. What was to be sent is lost.
func (d *Device) restart() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.stopped = true
	d.reset = time.Now()
	d.Resets.Add(1)
	err := d.negotiate()
	if err == nil {
		err = d.run()
	}
	if err != nil {
		if !d.gone {
			d.to.Trouble(fmt.Errorf("%w; it had to be reset: %w", err, d.broken))
		}
		d.gone = true
		return
	}
	d.to.Trouble(fmt.Errorf("%s: %v: reset: %w", Name, d.fn, d.broken))
	d.gone, d.broken, d.stopped = false, nil, false
}
