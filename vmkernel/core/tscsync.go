package core

import (
	"sync/atomic"

	"keel/arch/amd64"
)

// Time is one only if all processors' time-stamp counters agree. A started processor compares its
// own with the first processor's before it goes to work: it asks, the first one answers with its
// counter, and if the two are equal, that lies between the counter at the question and at the
// answer. If it doesn't, the counter is set (SDM 3B 18.17.3), and compared again.
var tscSync struct {
	ask    uint32 // number of the question
	answer uint32 // number of the question that tsc answers
	tsc    uint64
}

const (
	tscQuestions = 32
	tscAttempts  = 4
	tscRegister  = 0x10
)

// answerTSC answers the questions of a processor that is being started, for ns.
func answerTSC(ns uint64) {
	end := amd64.RDTSC() + nsToTicks(ns)
	for int64(amd64.RDTSC()-end) < 0 {
		if k := atomic.LoadUint32(&tscSync.ask); k != tscSync.answer {
			fence() // RDTSC may be executed early
			atomic.StoreUint64(&tscSync.tsc, amd64.RDTSC())
			atomic.StoreUint32(&tscSync.answer, k)
		}
		amd64.PAUSE()
	}
}

// compareTSC returns by how many ticks the calling processor's counter surely is behind the first
// processor's, 0 where they agree as well as can be seen.
func compareTSC() int64 {
	best, behind := ^uint64(0), int64(0)
	for range tscQuestions {
		k := atomic.LoadUint32(&tscSync.ask) + 1
		t1 := amd64.RDTSC()
		atomic.StoreUint32(&tscSync.ask, k)
		for atomic.LoadUint32(&tscSync.answer) != k {
			amd64.PAUSE()
		}
		fence()
		t2 := amd64.RDTSC()
		t := atomic.LoadUint64(&tscSync.tsc)
		if took := t2 - t1; took < best {
			best, behind = took, 0
			if int64(t-t1) < 0 || int64(t2-t) < 0 {
				behind = int64(t - t1 - took/2)
			}
		}
	}
	return behind
}

// syncTSC makes the calling processor's counter agree with the first one's.
func (c *cpu) syncTSC() {
	for try := 0; ; try++ {
		behind := compareTSC()
		if behind == 0 {
			return
		}
		if try == tscAttempts {
			console.lock.lock()
			print("level=WARN msg=\"time-stamp counters differ and can't be set: time may go backwards\" apic=")
			printDec(uint64(c.apicID))
			print("\n")
			console.lock.unlock()
			return
		}
		amd64.WRMSR(tscRegister, amd64.RDTSC()+uint64(behind))
	}
}
