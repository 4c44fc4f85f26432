package core

import (
	"keel/arch/amd64"
	"keel/boot/handover"
)

// The console is the first serial port (8250 registers at 0x3F8) and the screen. Bytes come from
// write(1|2) of the upper half, whole lines at a time, which the serial port sends in its own time, and
// from the lower half's own reports, for which it is waited.
const com1 = 0x3F8

var console struct {
	lock   spinlock
	serial bool
	screen screen
}

// initConsole sets 115200 8N1 and finds out whether there is a port at all.
func initConsole(h *handover.Handover) {
	amd64.OUT8(com1+1, 0)
	amd64.OUT8(com1+3, 0x80)
	amd64.OUT8(com1+0, 1)
	amd64.OUT8(com1+1, 0)
	amd64.OUT8(com1+3, 3)
	amd64.OUT8(com1+2, 7)
	amd64.OUT8(com1+4, 3)
	amd64.OUT8(com1+7, 0x5A)
	console.serial = amd64.IN8(com1+7) == 0x5A
	serialOut.burst = 1
	if amd64.IN8(com1+2)&0xC0 == 0xC0 {
		serialOut.burst = serialFIFO
	}
	console.screen.init(h)
}

// putByte writes one byte, and waits until the serial port has taken it; the lock is held.
func putByte(b byte) {
	keepTail(b)
	if console.serial {
		flushSerial()
		if b == '\n' {
			putSerial('\r')
		}
		putSerial(b)
	}
	console.screen.showText()
	console.screen.put(b)
}

func putSerial(b byte) {
	waitSerial(serialEmpty)
	amd64.OUT8(com1, b)
}

// writeConsole writes bytes as they are.
func writeConsole(p []byte) {
	console.lock.lock()
	for _, b := range p {
		keepTail(b)
		if console.serial {
			if b == '\n' {
				queueSerial('\r')
			}
			queueSerial(b)
		}
		console.screen.put(b)
	}
	pumpSerial()
	console.lock.unlock()
	if serialOut.due != 0 {
		me().armGuest(serialOut.due)
	}
}

// flushConsole waits until the serial port has sent all that was written.
func flushConsole() {
	console.lock.lock()
	if console.serial {
		flushSerial()
		waitSerial(serialIdle)
	}
	console.lock.unlock()
}

// print writes a report of the lower half: a string without control over where it breaks.
func print(s string) {
	for i := 0; i < len(s); i++ {
		putByte(s[i])
	}
}

// printHex writes v as 0x and at least one digit.
func printHex(v uint64) {
	print("0x")
	shift := 60
	for shift > 0 && v>>uint(shift) == 0 {
		shift -= 4
	}
	for ; shift >= 0; shift -= 4 {
		putByte("0123456789abcdef"[v>>uint(shift)&15])
	}
}

func printDec(v uint64) {
	div := uint64(1)
	for v/div >= 10 {
		div *= 10
	}
	for ; div > 0; div /= 10 {
		putByte('0' + byte(v/div%10))
	}
}
