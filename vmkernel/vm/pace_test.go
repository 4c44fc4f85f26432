package vm

import (
	"testing"

	"keel/arch/amd64/virt"
	"keel/vmkernel/linux"
	"keel/vmkernel/sys"
)

// A paced is a Backend whose one guest follows a script of calls.
type paced struct {
	*fake
	t     *testing.T
	cpu   *vcpu
	steps []step
}

// A step is one call that is expected, and what it does: it returns r after the guest has run for ran
// ticks.
type step struct {
	brief, block bool
	flags        uint64
	ran          uint64
	r            int64
}

func (p *paced) next(got step) int64 {
	p.t.Helper()
	s := p.steps[0]
	p.steps = p.steps[1:]
	if got.brief != s.brief || got.block != s.block || got.flags != s.flags {
		p.t.Errorf("%d calls before the end: brief=%v block=%v flags=%d, want %+v", len(p.steps)+1, got.brief, got.block, got.flags, s)
	}
	p.cpu.page.Last += s.ran
	p.cpu.page.State.Exit = virt.Exit{Kind: virt.KindNop}
	if len(p.steps) == 0 {
		p.cpu.in.stopping.Store(true)
	}
	return s.r
}

func (p *paced) Run(h sys.VMHandle, cpu int, flags uint64, event virt.Event, block bool) linux.Errno {
	return linux.Errno(p.next(step{block: block, flags: flags}))
}

func (p *paced) RunBriefly(h sys.VMHandle, cpu int, flags uint64, event virt.Event) int64 {
	return p.next(step{brief: true, flags: flags})
}

// A guest is run briefly while its exits are frequent, and with its P handed on while they are rare; what
// the next entry is to obey is passed once.
func TestRunsFollowTheGuestsPace(t *testing.T) {
	const hz = 1_000_000_000
	often, seldom, between := uint64(hz/oftenRate/2), uint64(hz/rareRate*2), uint64(hz/oftenRate*2)
	p := &paced{fake: newFake(nil), t: t}
	in := &instance{backend: p, host: Host{TSCHz: hz}}
	p.cpu = newVCPU(in, 0, &sys.VCPUPage{})
	p.cpu.flags = sys.RunSetRIP
	p.steps = []step{
		{block: true, flags: sys.RunSetRIP, ran: seldom},
		{block: true, ran: between},
		{ran: often},
		{brief: true, ran: often},
		{brief: true, r: sys.BriefAgain},
		{brief: true, ran: often},
		{brief: true, r: sys.BriefOver, ran: seldom},
		{ran: 1},
		{block: true, ran: often},
		{brief: true, r: sys.BriefWaits},
		{block: true, ran: often},
		{brief: true, ran: seldom},
		{block: true, ran: 1},
		{brief: true, ran: 1},
		{brief: true, r: sys.BriefNever},
		{ran: 1},
		{ran: 1},
	}
	p.cpu.loop()
	if len(p.steps) != 0 {
		t.Errorf("%d calls are missing", len(p.steps))
	}
}
