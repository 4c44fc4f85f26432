package vm

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"

	"testing"
	"time"

	"keel/arch/amd64/virt"
	"keel/vmkernel/linux"
	"keel/vmkernel/seed"
	"keel/vmkernel/sys"
)

// idles is a guest that waits until it is kicked.
func idles(m *fakeMachine, p *sys.VCPUPage, _ uint64, _ virt.Event) linux.Errno {
	<-m.kicks[0]
	p.State.Exit = virt.Exit{Kind: virt.KindNop}
	return 0
}

// obeys is a guest that switches itself off once its power button is pressed.
func obeys(m *fakeMachine, p *sys.VCPUPage, _ uint64, _ virt.Event) linux.Errno {
	const pwrbtn = 1 << 8
	p.State.Exit = virt.Exit{Kind: virt.KindIO, In: true, Port: 0x600, Size: 2} // PM1 status
	if m.runs > 1 && p.State.GPR[virt.RAX]&pwrbtn != 0 {
		return out(p, 0x604, 2, 1<<13|5<<10)
	}
	time.Sleep(time.Millisecond)
	return 0
}

// started is a VM that runs.
func started(t *testing.T, f *fake, set func(*seed.VM)) (*Manager, *VM, *record) {
	t.Helper()
	m, r := newManager(f)
	s := spec("demo")
	if set != nil {
		set(&s)
	}
	v := create(t, m, s)
	if err := v.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		v.Kill(context.Background())
		m.WaitIdle()
	})
	return m, v, r
}

func isState(t *testing.T, v *VM, want State) {
	t.Helper()
	if s := v.State(); s != want {
		t.Errorf("it is %s, want %s", s, want)
	}
}

// eventually waits for what becomes true.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for range 5000 {
		if is() {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Fatalf("never: %s", what)
}

func TestKillEndsAVMThatWouldNot(t *testing.T) {
	_, v, r := started(t, newFake(idles), func(s *seed.VM) {
		s.OnCrash, s.OnPowerOff, s.OnReboot = seed.Restart, seed.Restart, seed.Restart
	})
	isState(t, v, Running)
	var state *StateError
	if err := v.Start(t.Context()); !errors.As(err, &state) || state.Is != Running || err.Error() != "vm: demo is running: to start it has to be stopped" {
		t.Errorf("second Start: %v", err)
	}
	if err := v.Kill(t.Context()); err != nil {
		t.Error(err)
	}
	isState(t, v, Off)
	wantLines(t, r.String(), `msg="vm stopped" vm=demo reason="stopped by the host"`)
	if err := v.Kill(t.Context()); !errors.As(err, &state) {
		t.Errorf("Kill of what is off: %v", err)
	}
}

func TestShutdownPressesThePowerButtonAndTheVMStaysOff(t *testing.T) {
	_, v, r := started(t, newFake(obeys), func(s *seed.VM) {
		s.OnPowerOff, s.StopTimeout = seed.Restart, seed.Duration(time.Minute)
	})
	if err := v.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	isState(t, v, Off)
	wantLines(t, r.String(), `msg="vm stopped" vm=demo reason=power-off`)
	if s := v.Status(); s.LastStop == nil || s.LastStop.Cause != PowerOff || s.LastStopAt.IsZero() || s.Starts != 1 {
		t.Errorf("%+v", s)
	}
}

func TestShutdownKillsAGuestThatDoesNotAnswer(t *testing.T) {
	_, v, r := started(t, newFake(idles), func(s *seed.VM) { s.StopTimeout = seed.Duration(30 * time.Millisecond) })
	if err := v.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	wantLines(t, r.String(), `reason="stopped by the host: the guest didn't switch itself off within 30ms"`)
}

func TestShutdownThatIsWithdrawnLeavesTheVMRunning(t *testing.T) {
	_, v, _ := started(t, newFake(idles), func(s *seed.VM) { s.StopTimeout = seed.Duration(time.Minute) })
	ctx, cancel := context.WithCancel(t.Context())
	other, stop := context.WithCancel(t.Context())
	defer stop()
	results := make(chan error, 2)
	go func() { results <- v.Shutdown(ctx) }()
	eventually(t, "it is stopping", func() bool { return v.State() == Stopping })
	go func() { results <- v.Shutdown(other) }()
	eventually(t, "both wait", func() bool { v.mu.Lock(); defer v.mu.Unlock(); return v.run.asking == 2 })
	cancel()
	if err := <-results; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	isState(t, v, Stopping)
	stop()
	<-results
	isState(t, v, Running)
}

func TestPauseRestsEveryProcessorUntilResume(t *testing.T) {
	var ran atomic.Int64
	f := newFake(func(m *fakeMachine, p *sys.VCPUPage, _ uint64, _ virt.Event) linux.Errno {
		ran.Add(1)
		p.State.Exit = virt.Exit{Kind: virt.KindNop}
		return 0
	})
	_, v, _ := started(t, f, nil)
	eventually(t, "it runs", func() bool { return ran.Load() > 0 })
	if err := v.Pause(t.Context()); err != nil {
		t.Fatal(err)
	}
	isState(t, v, Paused)
	had := ran.Load()
	time.Sleep(20 * time.Millisecond)
	if now := ran.Load(); now != had {
		t.Errorf("it ran %d times while it was paused", now-had)
	}
	var state *StateError
	if err := v.Pause(t.Context()); !errors.As(err, &state) {
		t.Errorf("second Pause: %v", err)
	}
	if err := v.Shutdown(t.Context()); !errors.As(err, &state) || !strings.Contains(err.Error(), "demo is paused: to shut down it has to be running") {
		t.Errorf("Shutdown: %v", err)
	}
	if err := v.Resume(); err != nil {
		t.Fatal(err)
	}
	isState(t, v, Running)
	eventually(t, "it goes on", func() bool { return ran.Load() > had })
}

func TestPausedVMCanBeKilledAndReset(t *testing.T) {
	f := newFake(idles)
	_, v, r := started(t, f, func(s *seed.VM) { s.OnReboot = seed.Stop })
	if err := errors.Join(v.Pause(t.Context()), v.Reset()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it runs again", func() bool { s := v.Status(); return s.Reboots == 1 && s.State == Running })
	wantLines(t, r.String(), `reason="reset by the host"`)
	if err := errors.Join(v.Pause(t.Context()), v.Kill(t.Context())); err != nil {
		t.Fatal(err)
	}
	isState(t, v, Off)
}

func TestNMIReachesTheMachine(t *testing.T) {
	f := newFake(idles)
	_, v, _ := started(t, f, nil)
	if err := v.NMI(); err != nil || f.machines[0].nmis != 1 {
		t.Errorf("%d: %v", f.machines[0].nmis, err)
	}
	v.Kill(t.Context())
	var state *StateError
	if err := v.NMI(); !errors.As(err, &state) {
		t.Error(err)
	}
}

func TestStartThatIsCancelledLeavesTheVMOff(t *testing.T) {
	f := newFake(idles)
	m, r := newManager(f)
	v := create(t, m, spec("demo"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := v.Start(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	m.WaitIdle()
	isState(t, v, Off)
	for _, m := range f.machines {
		if !m.destroyed {
			t.Error("its machine is still there")
		}
	}
	if strings.Contains(r.String(), "vm not started") {
		t.Errorf("%s", r)
	}
	if err := v.Start(t.Context()); err != nil {
		t.Error(err)
	}
	v.Kill(t.Context())
}

func TestWhatFailsToStartSaysWhyInItsStatus(t *testing.T) {
	f := newFake(obeys)
	f.free = 0
	m, _ := newManager(f)
	v := create(t, m, spec("demo"))
	if err := v.Start(t.Context()); !errors.Is(err, ErrNoMemory) {
		t.Errorf("%v", err)
	}
	if s := v.Status(); s.State != Off || !strings.Contains(s.LastError, "no memory for VMs") || s.LastStop != nil {
		t.Errorf("%+v", s)
	}
}

func TestStatsWhileItRuns(t *testing.T) {
	f := newFake(func(m *fakeMachine, p *sys.VCPUPage, flags uint64, e virt.Event) linux.Errno {
		atomic.StoreUint64(&p.Exits[virt.KindCPUID], 5)
		atomic.StoreUint64(&p.Ticks, 700)
		return idles(m, p, flags, e)
	})
	_, v, _ := started(t, f, nil)
	eventually(t, "it ran", func() bool { s, _ := v.Stats(); return s.Guest == 700 })
	s, running := v.Stats()
	if !running || s.Exits["cpuid"] != 5 || len(s.Exits) != 1 || s.Console != 2*64<<10 {
		t.Errorf("%v %+v", running, s)
	}
	v.Kill(t.Context())
	if s, running := v.Stats(); running || s.Guest != 0 {
		t.Errorf("%v %+v", running, s)
	}
}

func TestHostIsIdleOnlyAfterAWhileWithoutActs(t *testing.T) {
	m, _ := newManager(newFake(idles))
	const after = 200 * time.Millisecond
	m.IdleAfter(after)
	release := m.Hold()
	idle := make(chan time.Time)
	go func() {
		m.WaitIdle()
		idle <- time.Now()
	}()
	last := time.Now()
	for range 5 {
		time.Sleep(10 * time.Millisecond)
		next := m.Hold()
		release()
		if time.Since(last) > after/2 {
			t.Skip("this machine is too busy to tell")
		}
		release, last = next, time.Now()
	}
	create(t, m, spec("demo"))
	release()
	last = time.Now()
	m.Hold()()
	if was := <-idle; was.Sub(last) < after {
		t.Errorf("idle %v after the last act", was.Sub(last))
	}
}

func TestShutdownAllGoesBackwardsThroughAutostart(t *testing.T) {
	m, _ := newManager(newFake(obeys))
	var off []string
	m.OnEvent(func(e Event) {
		if e.Kind == Ended {
			off = append(off, e.VM)
		}
	})
	for i, name := range []string{"first", "second", "third", "rests"} {
		s := spec(name)
		s.Autostart.Order, s.StopTimeout, s.OnPowerOff = min(i, 2), seed.Duration(time.Minute), seed.Restart
		v := create(t, m, s)
		if err := v.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		if name == "rests" {
			v.Pause(t.Context())
		}
	}
	create(t, m, spec("off"))
	var left []int
	if err := m.ShutdownAll(t.Context(), false, func(n int) { left = append(left, n) }); err != nil {
		t.Fatal(err)
	}
	if len(off) != 4 || off[2] != "second" || off[3] != "first" {
		t.Errorf("off in the order %v", off)
	}
	if fmt.Sprint(left) != "[4 3 2 1 0]" {
		t.Errorf("left: %v", left)
	}
	v, _ := m.Find("off")
	if err := v.Start(t.Context()); !errors.Is(err, ErrClosing) {
		t.Errorf("started: %v", err)
	}
	m.WaitIdle()
}

func TestShutdownAllThatIsGivenUpLetsVMsStartAgain(t *testing.T) {
	m, v, _ := started(t, newFake(idles), func(s *seed.VM) { s.StopTimeout = seed.Duration(time.Hour) })
	other := create(t, m, spec("other"))
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := m.ShutdownAll(ctx, false, nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	isState(t, v, Running)
	if err := other.Start(t.Context()); err != nil {
		t.Error(err)
	}
	if err := m.ShutdownAll(t.Context(), true, nil); err != nil { // they wouldn't within the hour
		t.Error(err)
	}
	isState(t, v, Off)
	isState(t, other, Off)
}
