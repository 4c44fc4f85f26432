package vm

import (
	"time"

	"keel/vmkernel/seed"
)

// A run is a VM from its start until it is off, over all of its reboots. The VM's mutex guards it.
type run struct {
	in     *instance     // nil between two
	stop   chan struct{} // closed when the host wants it off at once
	done   chan struct{} // closed when it is off
	why    Reason        // for stop
	asking int           // calls of Shutdown that wait for the guest
	asked  bool          // one of them wants it off: it isn't started again
}

// restartPause is how long a VM that ran for less than that waits before it starts again, so that
// one that can't boot doesn't keep the host busy.
const restartPause = time.Second

// kill has the run end at once, as if power failed. It returns before it has. The VM's mutex is held.
func (v *VM) kill(r *run, why Reason) {
	select {
	case <-r.stop:
		return
	default:
	}
	r.why = why
	close(r.stop)
	if v.status.State != Stopping {
		v.enter(Stopping, AskedOff, why.String())
	}
	if r.in != nil {
		r.in.stop(why)
	}
}

// powerOn makes the run's next instance, in the state Starting, and logs and tells what came of it. The VM is off if it failed. was
// is the instance before, or nil.
func (v *VM) powerOn(r *run, was *instance) (*instance, error) {
	m := v.m
	spec := v.Spec()
	began := time.Now()
	in, err := powerOn(m.backend, m.host, spec, m.images, v.log, v.outlets(), was, r.stop)
	v.mu.Lock()
	defer v.mu.Unlock()
	if err == nil {
		select {
		case <-r.stop:
			err = ErrHalted
		default:
			err = v.adopt(r, in, spec)
		}
		if err != nil {
			in.board.close()
			in.destroy()
		}
	}
	if err != nil {
		was.leave()
	}
	switch {
	case err == ErrHalted:
		v.stopped(r, r.why)
		return nil, err
	case err != nil:
		v.log.Error("vm not started", "error", err)
		v.status.LastError = err.Error()
		v.off(r, NotStarted, err.Error())
		return nil, err
	}
	v.status.LastError = ""
	v.status.Started = time.Now()
	v.status.Starts++
	v.enter(Running, Started, "")
	v.log.Info("vm started", "cpus", spec.CPU.Count, "memory", seed.FormatSize(spec.Memory.Size), "boot", in.format.String(),
		"ticks", uint64(time.Since(began).Seconds()*float64(m.host.TSCHz)))
	return in, nil
}

// adopt makes in, which was made of spec, the run's instance, after whatever was changed meanwhile: what is in the description by now
// can be had, or the start fails as if it had been there before. The VM's mutex is held.
func (v *VM) adopt(r *run, in *instance, spec *seed.VM) error {
	r.in = in
	in.rename(v.spec.Name)
	err := v.setPolicies(spec, v.spec)
	if err != nil {
		r.in = nil
	}
	return err
}

// stopped ends the run for a reason. The VM's mutex is held.
func (v *VM) stopped(r *run, why Reason) {
	v.log.Info("vm stopped", "reason", why.String())
	v.status.LastStop, v.status.LastStopAt = &why, time.Now()
	kind := Ended
	if why.Cause == Crash {
		kind = Crashed
	}
	v.off(r, kind, why.String())
}

// off has the VM be off. The VM's mutex is held.
func (v *VM) off(r *run, kind EventKind, why string) {
	v.run = nil
	v.enter(Off, kind, why)
	close(r.done)
}

// live runs the VM from an instance that is ready until it stays off, by its own policy or the
// host's wish, and says whether it is to be deleted.
func (v *VM) live(r *run, in *instance) (deleted bool) {
	for {
		began := time.Now()
		reason := in.run()
		if again, action := v.ended(r, in, reason); !again {
			return action == seed.Delete
		}
		pause := time.Duration(0)
		if time.Since(began) < restartPause && reason.Cause != HostReset {
			pause = restartPause
		}
		select {
		case <-r.stop:
		case <-time.After(pause):
		}
		var err error
		if in, err = v.powerOn(r, in); err != nil {
			return false
		}
	}
}

// ended is what follows the end of an instance: it is started again, or the VM is off.
func (v *VM) ended(r *run, in *instance, why Reason) (again bool, action seed.Action) {
	v.mu.Lock()
	defer v.mu.Unlock()
	r.in = nil
	action = why.action(v.spec)
	if action == seed.Restart && (r.asked || why.Cause == Stopped) {
		action = seed.Stop
	}
	if why.Cause == Crash {
		v.status.Crashes++
	}
	if action != seed.Restart {
		in.leave()
		v.stopped(r, why)
		return false, action
	}
	v.log.Info("vm stopped", "reason", why.String())
	v.status.LastStop, v.status.LastStopAt = &why, time.Now()
	v.status.Reboots++
	kind := Ended
	if why.Cause == Crash {
		kind = Crashed
	}
	v.status.State = Starting
	v.emit(kind, why.String())
	v.enter(Starting, PoweringOn, "")
	return true, action
}
