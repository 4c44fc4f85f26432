package vm

import (
	"testing"

	"keel/arch/amd64/virt"
	"keel/vmkernel/device/virtio"
	"keel/vmkernel/device/virtio/virtiotest"
	"keel/vmkernel/vm/acpitable"
)

// touch is the exit of a guest that touched gpa.
func touch(c *vcpu, gpa uint64) {
	s := &c.page.State
	flat(s)
	s.RIP, s.Exit = 0x200000, virt.Exit{Kind: virt.KindMMIO, GPA: gpa}
	c.flags, c.event = 0, 0
	c.dispatch(s)
}

func TestMemoryThatIsAbsentComesBackAndTheGuestTriesAgain(t *testing.T) {
	f := newFake(nil)
	in := testInstance(t, f, 4<<20)
	c := in.cpus[0]
	touch(c, 0x123456)
	m := f.machines[0]
	if len(m.populated) != 1 || m.populated[0] != 0x123000 || c.flags != 0 || c.page.State.RIP != 0x200000 || in.stopping.Load() {
		t.Errorf("populated %x, flags %d, RIP %#x", m.populated, c.flags, c.page.State.RIP)
	}
	// An event whose delivery met such memory is delivered then, not lost.
	s := &c.page.State
	s.Exit, m.populated = virt.Exit{Kind: virt.KindDelivery, GPA: 0x5000, Vector: 14}, nil
	if c.dispatch(s); len(m.populated) != 1 || c.flags != 0 || in.stopping.Load() {
		t.Errorf("a delivery: populated %x, flags %d, %v", m.populated, c.flags, in.reason)
	}
	copy(in.memory2(t), "\x8b\x18") // mov (%rax), %ebx
	touch(c, 4<<20)                 // the first address that is no RAM
	if len(m.populated) != 1 || in.stopping.Load() {
		t.Errorf("what is no RAM was populated: %x", m.populated)
	}
	if got := testing.AllocsPerRun(100, func() { m.populated = m.populated[:0]; touch(c, 0x1000) }); got != 0 {
		t.Errorf("%v allocations", got)
	}
}

func TestWhatTheBalloonReportsIsReleased(t *testing.T) {
	f := newFake(nil)
	in := testInstance(t, f, 4<<20)
	if list := in.board.bus.MMIO(); len(list) != 1 || list[0].First != acpitable.BalloonBase || list[0].Size != acpitable.BalloonSize {
		t.Fatalf("%+v", list)
	}
	d := &virtiotest.Driver{TB: t, Dev: in.board.virtio[0], Mem: in.memory}
	if !d.Negotiate(d.Offered()) {
		t.Fatal("its own features are refused")
	}
	r := d.Ring(4, 8, 0x10000)
	d.OK()
	r.Send(virtio.Buffer{Addr: 2 << 20, Len: 1 << 20, Write: true})
	if m := f.machines[0]; m.released != 1<<20 || !m.lines[acpitable.BalloonGSI] {
		t.Errorf("%d bytes released, line %v", m.released, m.lines[acpitable.BalloonGSI])
	}
	in.destroy()
	in.Release(0, 4096) // too late: the machine is another's
	in.Settle()
	if len(f.late) != 0 {
		t.Error(f.late)
	}
}

func TestBalloonOfARunningVM(t *testing.T) {
	f := newFake(nil)
	in := testInstance(t, f, 4<<20)
	v := &VM{spec: in.spec}
	if _, running := v.Balloon(); running || v.SetBalloon(1<<20) {
		t.Error("a VM that doesn't run has a balloon")
	}
	v.run = &run{in: in}
	for bytes, want := range map[uint64]uint32{0: 0, 4095: 0, 1 << 20: 256, 1 << 50: 1024} {
		v.SetBalloon(bytes)
		if s, running := v.Balloon(); !running || s.Target != want || s.Running {
			t.Errorf("%d bytes: %+v", bytes, s)
		}
	}
}
