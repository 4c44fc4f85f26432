package core

import (
	"sync/atomic"

	"keel/arch/amd64"
)

// A spinlock protects data of the lower half, where interrupts are off. Processors get it in the order in which
// they asked: else one that asks again and again, or emulators that run processors by turns, keep another from
// it for ever. Under a hypervisor that has more processors than the machine below, the next in order is often
// one that doesn't run, and all others wait for its turn below: there a processor tries for a while to be first
// and only then takes its place in the order.
type spinlock struct{ next, serving uint32 }

// lockTries is how often a processor tries to get a lock out of order: 0 on the bare machine.
var lockTries uint32

// hypervisorTries of PAUSE (40 to 140 cycles, and more when emulated) are several milliseconds: longer than what
// a machine below gives a processor at a time, so that a holder that doesn't run gets its turn meanwhile.
const hypervisorTries = 1 << 17

func (l *spinlock) lock() {
	for range lockTries {
		if l.try() {
			return
		}
		amd64.PAUSE()
	}
	turn := atomic.AddUint32(&l.next, 1) - 1
	for atomic.LoadUint32(&l.serving) != turn {
		amd64.PAUSE()
	}
}

func (l *spinlock) unlock() { atomic.StoreUint32(&l.serving, l.serving+1) }

// try takes the lock if nobody has it or waits for it.
func (l *spinlock) try() bool {
	turn := atomic.LoadUint32(&l.serving)
	return atomic.CompareAndSwapUint32(&l.next, turn, turn+1)
}

// force takes the lock from whoever has it, or waits for it, and gives it back.
func (l *spinlock) force() { atomic.StoreUint32(&l.serving, atomic.LoadUint32(&l.next)) }
