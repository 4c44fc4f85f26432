package vm

import (
	"context"
	"sync"
	"time"

	"keel/vmkernel/seed"
)

// An idle knows whether anything keeps the host from being idle: VMs that run, and acts on VMs that are going on.
type idle struct {
	mu    sync.Mutex
	quiet sync.Cond // busy has become 0, or an act was begun
	busy  int
	acts  uint64 // how often something began to keep it busy
	after time.Duration
}

// IdleAfter sets how long nothing must have run or been done before the host is idle: with the management endpoint open,
// an administrator who stops one VM has the time to start another. It is 0 where it isn't set.
func (m *Manager) IdleAfter(d time.Duration) {
	m.idle.mu.Lock()
	defer m.idle.mu.Unlock()
	m.idle.after = d
}

// Hold keeps the host from being idle until release is called: for who is about to do something with VMs.
func (m *Manager) Hold() (release func()) {
	i := &m.idle
	i.mu.Lock()
	defer i.mu.Unlock()
	i.busy++
	i.acts++
	return sync.OnceFunc(func() {
		i.mu.Lock()
		defer i.mu.Unlock()
		if i.busy--; i.busy == 0 {
			i.quiet.Broadcast()
		}
	})
}

// WaitIdle returns as soon as the host is idle: no VM runs or is being started, whoever made it, nobody has called Hold,
// and that has been so for as long as IdleAfter says.
func (m *Manager) WaitIdle() {
	i := &m.idle
	i.mu.Lock()
	defer i.mu.Unlock()
	for {
		for i.busy > 0 {
			i.quiet.Wait()
		}
		if i.after == 0 {
			return
		}
		acts, after := i.acts, i.after
		i.mu.Unlock()
		time.Sleep(after)
		i.mu.Lock()
		if i.busy == 0 && i.acts == acts {
			return
		}
	}
}

// sleep waits for d, and says whether the context let it.
func sleep(ctx context.Context, d seed.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	select {
	case <-time.After(time.Duration(d)):
		return true
	case <-ctx.Done():
		return false
	}
}
