package vm

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"keel/arch/amd64/virt"
	"keel/vmkernel/linux"
	"keel/vmkernel/seed"
	"keel/vmkernel/sys"
)

// largeImages are the test kernel as "large", with 30 MiB of variables that its loader is to clear, and an "initrd" of 30 MiB.
func largeImages() map[string]*seed.File {
	all := files()
	data := bytes.Clone(all["kernel"].Data)
	binary.LittleEndian.PutUint32(data[24:], 31*mebi) // bss_end_addr
	for name, data := range map[string][]byte{"large": data, "initrd": bytes.Repeat([]byte{0xA5}, 30*mebi)} {
		info, err := seed.Describe(bytes.NewReader(data))
		if err != nil {
			panic(err)
		}
		all[name] = &seed.File{Name: name, Data: data, Info: info}
	}
	return all
}

// TestKernelsGetNoMoreThanTheirVM: a file of 64 bytes may say that it needs all of a VM's memory. What the VM can't have isn't
// written to, which would take it from the host.
func TestKernelsGetNoMoreThanTheirVM(t *testing.T) {
	const want = "vm: memory: VM v has 2MiB and needs 28MiB more, which is above the limit of VM v, 9MiB: raise that"
	for _, boot := range []seed.Direct{{Kernel: "large"}, {Kernel: "kernel", Initrd: "initrd"}} {
		f, m, _ := hungry(t, 64, 0)
		m.images = store(largeImages())
		s := spec("v")
		s.Memory.Size, s.Memory.Limit, s.Boot.Direct = 32*mebi, 9*mebi, boot
		v := create(t, m, s)
		if err := v.Start(t.Context()); !errors.Is(err, ErrNoMemory) || err.Error() != want {
			t.Errorf("%+v: %v\nwant %s", boot, err, want)
		}
		if k := f.machines[0]; !k.destroyed || bytes.IndexByte(k.low, 0xA5) >= 0 {
			t.Errorf("%+v: some of the initrd is there; destroyed: %v", boot, k.destroyed)
		}
		if err := v.SetMemory(seed.Share{}); err != nil {
			t.Fatal(err)
		}
		if err := v.Start(t.Context()); err != nil {
			t.Errorf("%+v: %v", boot, err)
		}
		if had := f.machines[1].most; had < 30*mebi || had > 34*mebi {
			t.Errorf("%+v: %d bytes were granted for 30 MiB that are written", boot, had)
		}
		v.Kill(t.Context())
	}
}

// TestAVMThatStartsWaitsForWhatOthersHold: it was admitted since others can give their memory back, who have all of it.
func TestAVMThatStartsWaitsForWhatOthersHold(t *testing.T) {
	var all atomic.Bool
	all.Store(true)
	old := &grower{t: t, all: &all}
	f := newFake(nil)
	f.run = func(m *fakeMachine, p *sys.VCPUPage, flags uint64, e virt.Event) linux.Errno {
		f.mu.Lock()
		first := m == f.machines[0]
		f.mu.Unlock()
		if first {
			return old.run(f, m, p)
		}
		return idles(m, p, flags, e)
	}
	f.free = 48*mebi + 64*mebi
	m, _ := newManager(f)
	m.images = store(largeImages())
	start := func(name string, size uint64, shares uint32, kernel string) (*VM, error) {
		s := spec(name)
		s.CPU.Count, s.Memory.Size, s.Boot.Direct.Kernel = 1, size*mebi, kernel
		s.Memory.Shares = shares
		if name == "reserved" {
			s.Memory.Reservation = s.Memory.Size
		}
		v := create(t, m, s)
		if name == "old" {
			old.vm, old.size = v, pages(s.Memory.Size)
		}
		t.Cleanup(func() { v.Kill(t.Context()) })
		return v, v.Start(t.Context())
	}
	rounds := make(chan struct{})
	go func() {
		for {
			select {
			case <-rounds:
				return
			case <-time.After(10 * time.Millisecond):
				m.host.memory.soon()
			}
		}
	}()
	defer close(rounds)
	holder, err := start("old", 62, 600, "kernel")
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "it has nearly all there is", func() bool { return resident(holder) > 52 })
	eventually(t, "it is known to give some back", func() bool {
		h := m.host.memory
		h.mu.Lock()
		defer h.mu.Unlock()
		return h.tree.Obtainable("") > pages(40*mebi)
	})
	if _, err := start("new", 40, 1000, "large"); err != nil {
		t.Fatal(err)
	}
	if had := f.machines[1].most; had < 30*mebi {
		t.Errorf("it was granted %d MiB for 30 that are written", had/mebi)
	}
	eventually(t, "it has nearly all again", func() bool { return resident(holder) > 40 })
	if _, err := start("reserved", 30, 10, "kernel"); err != nil {
		t.Fatal(err)
	}
	if s := f.machines[2].reserved; s != 30*mebi || resident(holder) > 64-30 {
		t.Errorf("%d MiB are reserved for it, and the first holds %d", s/mebi, resident(holder))
	}
}

// TestAStartThatWaitsForOthersCanBeCancelled: they have a driver for their balloon, which does nothing.
func TestAStartThatWaitsForOthersCanBeCancelled(t *testing.T) {
	var all atomic.Bool
	all.Store(true)
	f := newFake(nil)
	g := &grower{t: t, all: &all, idle: true, size: pages(62 * mebi)}
	f.run = func(m *fakeMachine, p *sys.VCPUPage, _ uint64, _ virt.Event) linux.Errno { return g.run(f, m, p) }
	f.free = 48*mebi + 64*mebi
	m, _ := newManager(f)
	s := spec("old")
	s.CPU.Count, s.Memory.Size = 1, 62*mebi
	g.vm = create(t, m, s)
	if err := g.vm.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { g.vm.Kill(context.Background()) })
	eventually(t, "it has nearly all there is, and is known to give some back", func() bool {
		m.host.memory.soon()
		s, _ := g.vm.MemoryStats()
		return s.Resident > 52*mebi && s.Balloon && m.MemoryStats().Pressure
	})
	s = spec("new")
	s.Memory.Size, s.Memory.Reservation = 30*mebi, 30*mebi
	v := create(t, m, s)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := v.Start(ctx); !errors.Is(err, context.DeadlineExceeded) || v.State() != Off || len(f.machines) != 1 || len(m.host.memory.shares) != 1 {
		t.Errorf("%v, %s, %d machines, %d shares", err, v.State(), len(f.machines), len(m.host.memory.shares))
	}
}

// TestAFaultInAGuestsMemoryIsThatVMsEnd: a device model touches memory that the host can't give it any more.
func TestAFaultInAGuestsMemoryIsThatVMsEnd(t *testing.T) {
	f := newFake(nil)
	f.run = func(m *fakeMachine, p *sys.VCPUPage, _ uint64, _ virt.Event) linux.Errno {
		if err := syscall.Mprotect(m.low[len(m.low)/2:], syscall.PROT_NONE); err != nil {
			t.Error(err)
		}
		flat(&p.State)
		p.State.GPR[virt.RSI] = uint64(len(m.low)) - 1
		p.State.Exit = virt.Exit{Kind: virt.KindIO, Port: 0xE9, Size: 1, String: true, AddrSize: 4, Segment: uint8(virt.DS), Len: 1}
		return 0
	}
	s := spec("demo")
	s.CPU.Count, s.Memory.Size = 1, 64*mebi // so large that it is mapped
	wantLines(t, runAll(t, f, s), `msg="vm stopped" vm=demo reason="crash: panic in a device model: runtime error: invalid memory address`)
}
