package vm

import (
	"sync/atomic"

	"keel/arch/amd64/virt"
	"keel/vmkernel/sys"
)

// Stats is what a VM has cost since its guest was last switched on. Ticks are of the host's time-stamp counter, summed over
// the virtual processors. MemoryStats says how its memory stands.
type Stats struct {
	Total   uint64            // ticks from the first entry to the last exit that came to the upper half
	Guest   uint64            // ticks in guest mode
	Outside uint64            // ticks between an exit and the next entry, waiting excluded
	Exits   map[string]uint64 // by kind, but for those that never happened
	CPU     ProcessorUse
	Console int // memory that its consoles take
}

// Stats says what a VM that is on costs; running is false where it is off. The guest isn't disturbed.
func (v *VM) Stats() (s Stats, running bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, p := range v.ports {
		s.Console += p.Memory()
	}
	if v.run == nil || v.run.in == nil {
		return s, false
	}
	in := v.run.in
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.gone {
		return s, false
	}
	f := in.figures()
	s.Total, s.Guest, s.Outside, s.Exits = f.total, f.guest, f.outside, ExitReasons(&f.exits)
	s.CPU = in.use()
	return s, true
}

// ExitReasons names kinds of exits, but for those that never happened.
func ExitReasons(exits *[virt.Kinds]uint64) map[string]uint64 {
	named := map[string]uint64{}
	for k, n := range exits {
		if n != 0 {
			named[kindName(virt.Kind(k))] = n
		}
	}
	return named
}

// figures are the sums of what the lower half counts on the pages of the virtual processors.
type figures struct {
	total, guest, outside uint64
	exits                 [virt.Kinds]uint64
}

// figures reads them, while there are pages. The lower half may be writing.
func (in *instance) figures() (f figures) {
	var first, last uint64
	for _, c := range in.cpus {
		p := c.page
		f.guest += atomic.LoadUint64(&p.Ticks)
		f.outside += atomic.LoadUint64(&p.Outside)
		if t := atomic.LoadUint64(&p.First); t != 0 && (first == 0 || t < first) {
			first = t
		}
		last = max(last, atomic.LoadUint64(&p.Last))
		for k := range f.exits {
			f.exits[k] += atomic.LoadUint64(&p.Exits[k])
		}
	}
	if first != 0 && last > first {
		f.total = last - first
	}
	return f
}

// Handle is the lower half's name of a VM that is on; running is false where it is off.
func (v *VM) Handle() (h sys.VMHandle, running bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.run == nil || v.run.in == nil {
		return 0, false
	}
	in := v.run.in
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.handle, !in.gone
}
