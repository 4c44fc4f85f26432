package intel

import (
	"errors"
	"fmt"
	"time"

	"keel/drivers/nic"
)

// resetEvery is how soon after a reset the next may be: a card that breaks at once again waits.
const resetEvery = time.Second

// stuck is how long a frame may take to be sent while the link is up.
const stuck = 4 * time.Second

// give gives receive descriptor i to the card.
func (c *Card) give(i int) { c.rx.set(i, c.rx.buffer(i), 0) }

// service does what there is to do: it is called by nic.Serve.
func (c *Card) service(patrol bool) (found bool) {
	cause := c.r.Read32(regICR) // and clears it
	if cause == gone && c.r.Read32(regSTATUS) == gone {
		c.broken = errors.New("the card is gone")
	}
	if c.broken == nil {
		found = c.receive()
	}
	if c.broken == nil && (patrol || cause&causeLSC != 0 || !c.told) {
		c.checkLink()
	}
	if c.broken == nil && patrol {
		c.checkSending()
	}
	if c.broken != nil && time.Since(c.reset) >= resetEvery {
		c.restart()
	}
	return found
}

// receive passes on what has come; at most two rings of it, so that a flood doesn't keep the link
// from being looked at.
func (c *Card) receive() (found bool) {
	given := -1
	for range 2 * rxEntries {
		i := c.rx.head
		state := c.rx.state(i)
		if state&rxDD == 0 {
			break
		}
		found = true
		n := int(state & 0xFFFF)
		switch {
		case state&rxEOP == 0 || n > bufferSize:
			// No frame may be longer than a buffer: long ones are not enabled.
			c.broken = fmt.Errorf("receive descriptor %d says %#x: %d bytes in a buffer of %d", i, state, n, bufferSize)
			return found
		case state&rxErrors != 0 || n < nic.HeaderSize:
			c.Bad.Add(1)
		default:
			c.Received.Add(1)
			c.ReceivedBytes.Add(uint64(n))
			c.to.Receive(c.rx.buffers.Bytes(i*bufferSize, n), state&(rxIXSM|rxTCPCS|rxTCPE|rxIPE) == rxTCPCS)
		}
		c.give(i)
		given = i
		c.rx.head = (i + 1) % rxEntries
		if i%32 == 0 {
			c.r.Write32(regRDT, uint32(given))
			given = -1
		}
	}
	if given >= 0 {
		c.r.Write32(regRDT, uint32(given))
	}
	return found
}

func (c *Card) checkLink() {
	status := c.r.Read32(regSTATUS)
	if status == gone {
		c.broken = errors.New("the card is gone")
		return
	}
	l := linkOf(status)
	if c.told && l == c.lastLink {
		return
	}
	c.told, c.lastLink = true, l
	v := uint64(0)
	if l.Up {
		v = 1 + uint64(l.Mbps)
	}
	c.link.Store(v)
	c.to.LinkChanged(l)
}

// checkSending finds a card that doesn't send. While the link is down it isn't expected to.
func (c *Card) checkSending() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reclaim()
	if c.tx.used == 0 || c.link.Load() == 0 {
		if c.tx.used != 0 {
			c.since[c.tx.head] = time.Now()
		}
		return
	}
	if d := time.Since(c.since[c.tx.head]); d > stuck {
		c.broken = fmt.Errorf("transmit descriptor %d of %d waiting has not been sent for %v", c.tx.head, c.tx.used, d.Round(time.Second))
	}
}

// restart resets a card that is broken and sets it up again. What was to be sent is lost.
func (c *Card) restart() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stopped = true
	c.reset = time.Now()
	c.Resets.Add(1)
	if err := c.stop(); err != nil {
		if !c.gone {
			c.to.Trouble(fmt.Errorf("%w; it had to be reset: %w", err, c.broken))
		}
		c.gone = true
		return
	}
	c.to.Trouble(fmt.Errorf("%s: %v: reset: %w", c.model.Name, c.fn, c.broken))
	c.gone, c.broken, c.stopped = false, nil, false
	c.run()
}
