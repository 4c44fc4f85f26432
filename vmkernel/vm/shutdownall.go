package vm

import (
	"cmp"
	"context"
	"slices"
	"sync"
)

// ShutdownAll shuts all VMs down, before the host switches itself off: those that autostart would start last go first, and
// those of an order together. Nothing is started meanwhile, nor afterwards. A VM that is paused is killed, since it
// couldn't hear of it; with force all are. left is told how many are on, at first and whenever one is off; nil is nobody.
// When the context ends before, so does the host's refusal to start VMs, and it is the error.
func (m *Manager) ShutdownAll(ctx context.Context, force bool, left func(n int)) error {
	defer m.Hold()()
	m.closing.Add(1)
	type turn struct {
		v     *VM
		order int
	}
	var turns []turn
	for _, v := range m.List() {
		if v.State() != Off {
			turns = append(turns, turn{v, v.Spec().Autostart.Order})
		}
	}
	slices.SortStableFunc(turns, func(a, b turn) int { return cmp.Compare(b.order, a.order) })
	var mu sync.Mutex
	on := len(turns)
	tell := func(gone int) {
		mu.Lock()
		defer mu.Unlock()
		on -= gone
		if left != nil {
			left(on)
		}
	}
	tell(0)
	for len(turns) > 0 {
		var together sync.WaitGroup
		order := turns[0].order
		for len(turns) > 0 && turns[0].order == order {
			v := turns[0].v
			turns = turns[1:]
			together.Go(func() {
				if v.leave(ctx, force) {
					tell(1)
				}
			})
		}
		together.Wait()
		if err := ctx.Err(); err != nil {
			m.closing.Add(-1)
			return err
		}
	}
	return nil
}

// leave has the VM be off, without force by its guest if that can be, and says whether it is.
func (v *VM) leave(ctx context.Context, force bool) bool {
	for {
		stop := v.Shutdown
		if force {
			stop = v.Kill
		}
		err := stop(ctx)
		state, _ := err.(*StateError)
		switch {
		case err == nil || state != nil && state.Is == Off || state == nil && ctx.Err() == nil: // nil, off, or deleted
			return true
		case ctx.Err() != nil:
			return false
		}
		force = true // it is paused, or was
	}
}
