package core

import (
	"sync/atomic"

	"keel/arch/amd64"
)

// A spinlock protects data of the lower half, where interrupts are off. It isn't fair: what it
// protects is short.
type spinlock struct{ held uint32 }

func (l *spinlock) lock() {
	for !atomic.CompareAndSwapUint32(&l.held, 0, 1) {
		for atomic.LoadUint32(&l.held) != 0 {
			amd64.PAUSE()
		}
	}
}

func (l *spinlock) unlock() { atomic.StoreUint32(&l.held, 0) }
