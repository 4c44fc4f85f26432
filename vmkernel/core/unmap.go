package core

import (
	"sync/atomic"

	"keel/arch/amd64"
)

// flushBatch is the number of pages that are unmapped at one cost of telling all processors.
const flushBatch = 256

// unback takes the frames of [start, end) back. Where counted is set they stay promised to the upper
// half, until the caller ends that; others are mapped no more. No lock is held: the frames of a batch are freed once no processor can have
// their translations any more.
func unback(start, end uintptr, counted bool) {
	c := me()
	for va := start; va < end; {
		n := 0
		space.lock.lock()
		for steps := 0; va < end && n < flushBatch && steps < 4*flushBatch; steps++ {
			e, covers := leaf(va)
			if e == nil {
				va = (va + covers) &^ (covers - 1)
				continue
			}
			if *e&amd64.PTE_P != 0 {
				c.unmapped[n] = *e & amd64.PTE_ADDR
				n++
				*e = 0
			}
			va += amd64.PageSize
		}
		space.backed -= uint64(n)
		if counted {
			repromise(uint64(n))
		} else {
			space.mapped -= uint64(n)
		}
		space.lock.unlock()
		if n == 0 {
			continue
		}
		flushAll()
		for i := 0; i < n; i++ {
			freeFrame(c.unmapped[i], ownerUpper)
		}
	}
}

// flushAll makes all other processors drop their translations, and waits for those that aren't
// idle. An idle one says so until it looks at flushAsked, before it next touches the upper half.
func flushAll() {
	c := me()
	amd64.WriteCR3(kernelRoot)
	var asked [maxCPUs]uint32
	var wait uint64 // a bit a processor
	for i := 0; i < nCPUs; i++ {
		if o := &cpus[i]; o != c {
			asked[i] = atomic.AddUint32(&o.flushAsked, 1)
			if atomic.LoadUint32(&o.idling) == 0 {
				wait |= 1 << i
				sendIPI(o.apicID, vecFlush)
			}
		}
	}
	for i := 0; i < nCPUs; i++ {
		for o := &cpus[i]; wait&(1<<i) != 0 && int32(atomic.LoadUint32(&o.flushDone)-asked[i]) < 0; {
			c.pollFlush()
			amd64.PAUSE()
		}
	}
}

// pollFlush answers the requests so far. One that comes meanwhile has a number of its own, since
// its translations may have been loaded again before it came.
func (c *cpu) pollFlush() {
	if asked := atomic.LoadUint32(&c.flushAsked); asked != c.flushDone {
		amd64.WriteCR3(kernelRoot)
		c.forgetNested()
		atomic.StoreUint32(&c.flushDone, asked)
	}
	if v := atomic.LoadUintptr(&c.clearVCPU); v != 0 {
		at[vcpu](v).clearVendor()
		atomic.StoreUintptr(&c.clearVCPU, 0)
	}
}
