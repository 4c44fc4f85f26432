package vm

import (
	"context"
	"time"

	"keel/vmkernel/sys"
)

// pause has the lower half keep the processors from guest mode, or ends that. The goroutines that run them stay where they
// are, or wait at their next entry; a stop has them come back.
func (in *instance) pause(on bool) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if !in.gone && !in.stopping.Load() {
		in.backend.Pause(in.handle, on)
	}
}

// kick has the processors come back from guest mode. The instance's mutex is held.
func (in *instance) kick() {
	if in.gone {
		return
	}
	for i := range in.cpus {
		in.backend.Kick(in.handle, i)
	}
}

// restsWithin is how often a paused VM's processors are asked whether they rest.
const restsWithin = time.Millisecond

// rested waits until no processor runs, or the instance ends.
func (in *instance) rested(ctx context.Context) error {
	for i := range in.cpus {
		for in.runs(i) {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(restsWithin):
			}
		}
	}
	return nil
}

// runs says whether a processor does.
func (in *instance) runs(cpu int) bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	var s sys.WorldStats
	return !in.gone && !in.stopping.Load() && in.backend.VCPUStats(in.handle, cpu, &s) == nil && s.State == sys.WorldRunning
}

// nmi sends an NMI, while there is a machine.
func (in *instance) nmi() bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	return !in.gone && in.backend.NMI(in.handle) == nil
}
