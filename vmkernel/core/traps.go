package core

import (
	"math/bits"
	"sync/atomic"

	"keel/arch/amd64"
)

// Vectors (SDM 3A table 6-1 and our own).
const (
	vecDivide = 0
	vecDebug  = 1
	vecNMI    = 2
	vecBreak  = 3
	vecUndef  = 6
	vecDouble = 8
	vecGP     = 13
	vecPage   = 14
	vecFPU    = 16
	vecMCE    = 18
	vecSIMD   = 19

	vecTimer    = 0xF0
	vecKick     = 0xF1 // look around
	vecFlush    = 0xF2 // reload CR3
	vecDevice   = 0x30 // first of the drivers' vectors
	vecSpurious = 0xFF
)

// idt is the interrupt descriptor table that all processors share: two words a gate.
var idt [512]uint64

func stubsPC() uintptr

func initIDT() {
	for v := 0; v < 256; v++ {
		ist := uint64(istShared)
		switch v {
		case vecNMI:
			ist = istNMI
		case vecDouble:
			ist = istDouble
		case vecMCE:
			ist = istMCE
		case vecDebug:
			ist = istDebug
		case vecPage:
			ist = istPage
		}
		pc := uint64(stubsPC()) + 16*uint64(v)
		idt[2*v] = pc&0xFFFF | amd64.CodeSelector<<16 | ist<<32 | 0x8E00<<32 | pc>>16&0xFFFF<<48
		idt[2*v+1] = pc >> 32
	}
}

// Names of exceptions, for reports.
func exceptionName(v uint64) string {
	switch v {
	case vecDivide:
		return "divide error"
	case vecDebug:
		return "debug exception"
	case vecBreak:
		return "breakpoint"
	case vecUndef:
		return "invalid opcode"
	case vecDouble:
		return "double fault"
	case 10:
		return "invalid TSS"
	case 11:
		return "segment not present"
	case 12:
		return "stack fault"
	case vecGP:
		return "general protection"
	case vecPage:
		return "page fault"
	case vecFPU:
		return "x87 error"
	case 17:
		return "alignment check"
	case vecMCE:
		return "machine check"
	case vecSIMD:
		return "SIMD error"
	}
	return "exception"
}

// interrupt handles a vector that interrupted the upper half. The thread's state is saved whole;
// afterwards whatever world is to run is resumed.
func interrupt(vector, code uint64) {
	c := me()
	w := at[world](c.world)
	if vector >= 32 {
		c.handleVector(vector)
	} else {
		c.counter.faults++
		w.exception(vector, code)
	}
	c.drainPending()
	if vector == vecFlush && atomic.LoadUint32(&c.kicked) == 0 && !c.resched {
		return
	}
	c.dispatch()
}

// handleVector acts on an interrupt: the local APIC's own, or a device's.
func (c *cpu) handleVector(v uint64) {
	c.counter.interrupts++
	switch v {
	case vecSpurious:
		return
	case vecTimer:
		apicEOI()
		c.timerFired()
	case vecKick:
		apicEOI()
		c.counter.ipis++
	case vecFlush:
		apicEOI()
		c.counter.ipis++
		c.pollFlush()
	default:
		deviceInterrupt(v) // first: it masks a level-triggered line, which would come again
		apicEOI()
	}
}

// drainPending handles the vectors that came in while the lower half had interrupts open.
func (c *cpu) drainPending() {
	for i := range c.pending {
		for c.pending[i] != 0 {
			bit := bits.TrailingZeros64(c.pending[i])
			c.pending[i] &^= 1 << uint(bit)
			c.handleVector(uint64(i*64 + bit))
		}
	}
}

// exception turns a fault of the upper half into backing for its memory, or a signal.
func (w *world) exception(vector, code uint64) {
	switch vector {
	case vecPage:
		addr := amd64.ReadCR2()
		if code&(1<<4) == 0 && back(uintptr(addr), code&2 != 0) {
			return
		}
		w.fault(sigSEGV, segvMapErr, addr, vector, code)
	case vecDivide:
		w.fault(sigFPE, fpeIntDiv, w.ctx.rip, vector, code)
	case vecFPU, vecSIMD:
		w.fault(sigFPE, 0, w.ctx.rip, vector, code)
	case vecUndef:
		w.fault(sigILL, 2, w.ctx.rip, vector, code)
	case vecBreak, vecDebug:
		w.fault(sigTRAP, 1, w.ctx.rip, vector, code)
	case vecDouble, vecMCE:
		fatalWorld(w, vector, code)
	default:
		w.fault(sigSEGV, siKernel, 0, vector, code)
	}
}
