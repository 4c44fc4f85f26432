package vm

import "context"

// How a VM rests: each processor's goroutine, back from guest mode, finds attention set and waits at the gate.

// pause closes the gate and calls the processors to it.
func (in *instance) pause() {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.stopping.Load() {
		return
	}
	in.paused = true
	in.attention.Store(true)
	in.kick()
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

// rested waits until all processors rest, or needn't.
func (in *instance) rested(ctx context.Context) error {
	defer context.AfterFunc(ctx, func() {
		in.mu.Lock()
		in.gate.Broadcast()
		in.mu.Unlock()
	})()
	in.mu.Lock()
	defer in.mu.Unlock()
	for in.paused && !in.stopping.Load() && in.resting < len(in.cpus) {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		in.gate.Wait()
	}
	return nil
}

// resume opens the gate.
func (in *instance) resume() {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.paused = false
	in.attention.Store(in.stopping.Load())
	in.gate.Broadcast()
}

// attend is where a processor goes that finds attention set. It says whether it runs on.
func (in *instance) attend() bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	for in.paused && !in.stopping.Load() {
		in.resting++
		in.gate.Broadcast()
		in.gate.Wait()
		in.resting--
	}
	return !in.stopping.Load()
}

// nmi sends an NMI, while there is a machine.
func (in *instance) nmi() bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	return !in.gone && in.backend.NMI(in.handle) == nil
}
