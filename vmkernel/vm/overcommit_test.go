package vm

import (
	"encoding/binary"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"keel/arch/amd64/virt"
	"keel/vmkernel/device/virtio"
	"keel/vmkernel/device/virtio/virtiotest"
	"keel/vmkernel/linux"
	"keel/vmkernel/mem"
	"keel/vmkernel/seed"
	"keel/vmkernel/sys"
)

// A grower is a guest with one processor that wants all memory there is, a page each turn, and whose balloon gets every
// other turn: while it waits for memory, its balloon can't fill.
type grower struct {
	t       *testing.T
	vm      *VM
	all     *atomic.Bool // guests have been started
	size    uint64       // pages
	used    uint64       // it uses those from 0 on
	balloon uint64       // it has those from the end down
	idle    bool         // its balloon does nothing
	turns   atomic.Uint64
	rings   []*virtiotest.Ring
	driver  *virtiotest.Driver
}

func (g *grower) run(f *fake, m *fakeMachine, p *sys.VCPUPage) linux.Errno {
	if g.driver == nil {
		g.vm.mu.Lock()
		in := g.vm.run.in
		g.vm.mu.Unlock()
		g.driver = &virtiotest.Driver{TB: g.t, Dev: in.board.virtio[0], Mem: in.memory}
		if !g.driver.Negotiate(g.driver.Offered()) {
			g.t.Error("its own features are refused")
		}
		for i := range uint32(2) {
			g.rings = append(g.rings, g.driver.Ring(i, 8, 0x10000+uint64(i)<<14))
		}
		g.driver.OK()
	}
	p.State.Exit = virt.Exit{Kind: virt.KindNop}
	const config, actual, numbers = virtiotest.Config, virtiotest.Config + 4, 0x8000
	target := g.driver.Dev.Read(config, 4)
	if turn := g.turns.Add(1); turn%2 == 0 && g.balloon != target && !g.idle {
		if g.balloon > target {
			g.balloon -= min(g.balloon-target, 64)
		} else {
			var list []byte
			for range min(target-g.balloon, 64) {
				g.balloon++
				list = binary.LittleEndian.AppendUint32(list, uint32(g.size-g.balloon))
			}
			g.used = min(g.used, g.size-g.balloon)
			g.driver.Mem.WriteAt(list, numbers)
			g.rings[0].Send(virtio.Buffer{Addr: numbers, Len: uint32(len(list))})
			g.rings[0].Used()
		}
		g.driver.Dev.Write(actual, 4, g.balloon)
	} else if g.all.Load() && g.used+g.balloon < g.size {
		flat(&p.State)
		p.State.Exit = virt.Exit{Kind: virt.KindMMIO, GPA: g.used * mem.PageSize}
		g.used++
	} else {
		time.Sleep(100 * time.Microsecond)
	}
	f.mu.Lock()
	m.touched = m.resident
	f.mu.Unlock()
	return 0
}

// TestOvercommittedGuestsAllGoOn has three guests with one processor each, sized for twice what there is, grow until it is
// used up: what they hold follows their shares then, each of them goes on running, and one that never gives back stays at
// what it has.
func TestOvercommittedGuestsAllGoOn(t *testing.T) {
	growers := map[*fakeMachine]*grower{}
	var list []*grower
	var all atomic.Bool
	var f *fake
	f = newFake(func(m *fakeMachine, p *sys.VCPUPage, _ uint64, _ virt.Event) linux.Errno {
		f.mu.Lock()
		g := growers[m]
		if g == nil {
			g = list[len(growers)]
			growers[m] = g
		}
		f.mu.Unlock()
		return g.run(f, m, p)
	})
	f.free = 48*mebi + 128*mebi
	m, r := newManager(f)
	for i := range 3 {
		s := spec(fmt.Sprint("g", i))
		s.CPU.Count, s.Memory.Size = 1, 96*mebi
		s.Memory.Share = seed.Share{Shares: uint32(1000 * (i + 1))}
		g := &grower{t: t, all: &all, vm: create(t, m, s), size: pages(s.Memory.Size)}
		f.mu.Lock()
		list = append(list, g)
		f.mu.Unlock()
		if err := g.vm.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { g.vm.Kill(t.Context()) })
		eventually(t, "it runs", func() bool { return g.turns.Load() > 10 })
	}
	all.Store(true)
	stop := time.After(5 * time.Second)
	for again := true; again; {
		select {
		case <-stop:
			again = false
		case m.host.memory.now <- struct{}{}: // rounds, as fast as guests change
			time.Sleep(20 * time.Millisecond)
		}
	}
	var granted [3]uint64
	for i, g := range list {
		before := g.turns.Load()
		eventually(t, fmt.Sprint(g.vm.Name(), " goes on"), func() bool { return g.turns.Load() > before+4 })
		s, _ := g.vm.MemoryStats()
		granted[i] = s.Granted / mebi
		t.Logf("%s: %+v", g.vm.Name(), s)
	}
	if a, b, c := granted[0], granted[1], granted[2]; 10*b < 15*a || 10*c < 12*b || a+b+c < 100 {
		t.Errorf("shares 1 : 2 : 3 hold %v MiB of 128", granted)
	}
	if strings.Contains(r.String(), "crash") || len(f.late) != 0 {
		t.Errorf("%s %v", r, f.late)
	}
}
