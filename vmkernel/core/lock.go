package core

import (
	"sync/atomic"

	"keel/arch/amd64"
)

// A spinlock protects data of the lower half, where interrupts are off. Processors get it in the order in which
// they asked: else one that asks again and again, or emulators that run processors by turns, keep another from
// it for ever.
type spinlock struct{ next, serving uint32 }

func (l *spinlock) lock() {
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
