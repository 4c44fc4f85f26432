package core

import (
	"runtime"
	"sync/atomic"
	"testing"

	"keel/vmkernel/device/i8254"
	"keel/vmkernel/device/lapic"
)

// pitMachine is a machine with one virtual processor, which waits for its turn, on a host whose counter counts ns.
func pitMachine(t *testing.T) (*machine, *vcpu) {
	w := makeWorlds(t, 1)[0]
	m, v, a := new(machine), new(vcpu), new(lapic.APIC)
	m.nvcpu, m.vcpus[0] = 1, addrOf(v)
	v.machine, v.world, v.apic = addrOf(m), w.id, addrOf(a)
	a.Reset(0, true)
	w.kind, w.vcpu, w.state = kindVCPU, addrOf(v), stateRunnable
	base, mult, hz := tscBase, tscMult, tscHz
	tscBase, tscMult, tscHz = 0, 1<<32, 1e9
	m.startNS = nanotime()
	m.pit.Reset()
	t.Cleanup(func() {
		tscBase, tscMult, tscHz = base, mult, hz
		runtime.KeepAlive([]any{m, v, a})
	})
	return m, v
}

// setPIT has counter 0 count down once, as another virtual processor would.
func (m *machine) setPIT(count uint16) {
	m.port(i8254.PortControl, 1, false, 0x30)
	m.port(i8254.PortCounter0, 1, false, uint32(count&0xFF))
	m.port(i8254.PortCounter0, 1, false, uint32(count>>8))
}

// TestNoChangeOfThePITIsOverwritten has the boot processor compute when its next timer is due while others set the PIT: in the end
// that is so by what was set last, or is to be computed.
func TestNoChangeOfThePITIsOverwritten(t *testing.T) {
	m, v := pitMachine(t)
	var quit atomic.Bool
	for i := range 2000 {
		done := make(chan struct{})
		quit.Store(false)
		go func() {
			for !quit.Load() {
				v.updateTimer()
			}
			close(done)
		}()
		for k := range 20 {
			m.setPIT(uint16(40_000 + 20*k + i))
		}
		quit.Store(true)
		<-done
		next := m.pit.NextEvent(m.now())
		if next <= m.now() {
			m.pit.Advance(m.now()) // this host was so slow that it is due already
			continue
		}
		if want := nsToTSC(next + m.startNS); v.nextTSC != 0 && v.nextTSC != want {
			t.Fatalf("round %d: the next timer is due %d ns too early", i, int64(want-v.nextTSC))
		}
	}
}

// TestWhoSleepsHasSeenThePITsLastChange: one that comes after it has looked, and before it sleeps.
func TestWhoSleepsHasSeenThePITsLastChange(t *testing.T) {
	m, v := pitMachine(t)
	v.updateTimer()
	m.setPIT(40_000)
	if v.wait(nil, worldAt(v.world)) {
		t.Error("it sleeps")
	}
}
