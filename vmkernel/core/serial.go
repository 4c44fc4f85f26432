package core

import (
	"keel/arch/amd64"
	"keel/vmkernel/sys"
)

// serialOut is what the serial port has yet to send. A line of 80 characters takes it 7 ms, in which
// the processor has better things to do than to wait: the one that wrote last looks again by its timer
// when the port will have sent what it has. No interrupt of the port is needed, which not every machine
// routes. The console's lock protects it.
var serialOut struct {
	ring      [serialRing]byte
	head, end uint32 // bytes that have been taken out, and put in
	burst     uint32 // bytes that the port takes at a time
	cpu       uint32 // whose timer it is
	due       uint64 // ns at which to look again, 0: nothing is left
}

const (
	serialRing = 16 << 10 // a power of 2
	serialFIFO = 16       // bytes of a 16550A's transmitter
	serialByte = 86_806   // ns for the ten bits of a byte at 115,200 baud
)

// Bits of the line status register.
const (
	serialEmpty = 1 << 5 // the transmitter takes more...
	serialIdle  = 1 << 6 // ...and has sent its last byte
)

// waitSerial waits until the port has status, but not for ever.
func waitSerial(status uint8) {
	for i := 0; i < 1<<16 && amd64.IN8(com1+5)&status == 0; i++ {
	}
}

// queueSerial has b sent. Where there is no room it waits, so that nothing is lost.
func queueSerial(b byte) {
	o := &serialOut
	if o.end-o.head == serialRing {
		waitSerial(serialEmpty)
		sendBurst()
	}
	o.ring[o.end%serialRing] = b
	o.end++
}

// sendBurst gives the port, whose transmitter is empty, what it takes.
func sendBurst() {
	o := &serialOut
	for n := uint32(0); n < o.burst && o.head != o.end; n++ {
		amd64.OUT8(com1, o.ring[o.head%serialRing])
		o.head++
	}
}

// pumpSerial gives the port what it takes now, and sets when to look again, on this processor if that isn't a machine's alone.
func pumpSerial() {
	o := &serialOut
	left := o.end - o.head
	for o.head != o.end && amd64.IN8(com1+5)&serialEmpty != 0 {
		sendBurst()
	}
	if o.head == o.end {
		o.due = 0
		return
	}
	wait := uint64(serialByte)
	if o.end-o.head != left {
		wait *= uint64(o.burst)
	}
	c := me()
	o.cpu, o.due = c.id, nanotime()+wait
	if c.owned() {
		o.cpu = sys.HostCPU
		cpus[o.cpu].kick()
	}
}

// flushSerial waits until the port has taken all.
func flushSerial() {
	o := &serialOut
	for n := 0; o.head != o.end && n < serialRing; n++ {
		waitSerial(serialEmpty)
		sendBurst()
	}
	o.due = 0
}

// serialDue says when c is to look after the serial port, in ns, 0 for never.
func (c *cpu) serialDue() uint64 {
	if serialOut.due == 0 || serialOut.cpu != c.id {
		return 0
	}
	return serialOut.due
}

// expireSerial looks after the serial port where it is time. Whoever has the console's lock will do
// so too.
func (c *cpu) expireSerial(now uint64) {
	due := c.serialDue()
	if due == 0 || due > now || !console.lock.try() {
		return
	}
	pumpSerial()
	console.lock.unlock()
}
