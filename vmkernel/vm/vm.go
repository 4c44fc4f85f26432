package vm

import (
	"errors"
	"log/slog"
	"sync"
	"time"

	"keel/vmkernel/seed"
)

// A VM is a virtual machine that the Manager holds, running or not.
type VM struct {
	spec  seed.VM
	files map[string]*seed.File
	log   *slog.Logger // with the VM's name

	mu      sync.Mutex
	current *instance     // nil while there is none
	stop    chan struct{} // closed when the host wants it stopped; nil while it isn't started
}

// ErrRunning is what Start returns for a VM that has been started and has not stopped.
var ErrRunning = errors.New("vm: it runs already")

// restartPause is how long a VM that ran for less than that waits before it starts again, so that
// one that can't boot doesn't keep the host busy.
const restartPause = time.Second

// Spec is the VM's description.
func (v *VM) Spec() seed.VM { return v.spec }

// Running says whether the VM has been started and has not stopped.
func (v *VM) Running() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.stop != nil
}

// begin marks the VM as started; false means that it was.
func (v *VM) begin() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.stop != nil {
		return false
	}
	v.stop = make(chan struct{})
	return true
}

// end marks it as stopped.
func (v *VM) end() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.stop, v.current = nil, nil
}

// halt asks a running VM to stop at once, as if its power failed. It returns before it has.
func (v *VM) halt() {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.stop == nil {
		return
	}
	select {
	case <-v.stop:
	default:
		close(v.stop)
	}
	if v.current != nil {
		v.current.stop(Reason{Cause: Stopped})
	}
}

// PressPowerButton asks the guest to switch itself off.
func (v *VM) PressPowerButton() {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.current != nil {
		v.current.board.pm.PressPowerButton()
	}
}

// powerOn makes the next instance current, and logs what came of it.
func (v *VM) powerOn(m *Manager) (*instance, error) {
	in, err := powerOn(m.backend, m.host, &v.spec, v.files, v.log, m.console)
	if err != nil {
		v.log.Error("vm not started", "error", err)
		return nil, err
	}
	v.mu.Lock()
	v.current = in
	select {
	case <-v.stop: // it was halted meanwhile
		in.stop(Reason{Cause: Stopped})
	default:
	}
	v.mu.Unlock()
	v.log.Info("vm started", "cpus", v.spec.CPU.Count, "memory", seed.FormatSize(v.spec.Memory.Size), "boot", in.format.String())
	return in, nil
}

// live runs the VM from an instance that is ready until it stays stopped, by its own policy or the
// host's wish, and says whether it is to be deleted.
func (v *VM) live(m *Manager, in *instance) (deleted bool) {
	for {
		began := time.Now()
		reason := in.run()
		v.mu.Lock()
		v.current = nil
		stop := v.stop
		v.mu.Unlock()
		v.log.Info("vm stopped", "reason", reason.String())
		switch reason.action(&v.spec) {
		case seed.Delete:
			return true
		case seed.Restart:
		default:
			return false
		}
		pause := time.Duration(0)
		if time.Since(began) < restartPause {
			pause = restartPause
		}
		select {
		case <-stop:
			return false
		case <-time.After(pause):
		}
		var err error
		if in, err = v.powerOn(m); err != nil {
			return false
		}
	}
}
