package vm

import (
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"keel/vmkernel/device"
	"keel/vmkernel/seed"
	"keel/vmkernel/sys"
	"keel/vmkernel/vm/guestmem"
	"keel/vmkernel/vm/loader"
)

// An instance is a VM from power-on to its end. What its devices ask of the machine as a whole they
// ask here: it is their device.Machine.
type instance struct {
	backend Backend
	handle  sys.VMHandle
	spec    *seed.VM
	host    Host
	log     *slog.Logger
	memory  *guestmem.Memory
	board   *board
	cpus    []*vcpu
	format  loader.Format
	share   *share // of the host's memory; nil until it is admitted
	slot    *slot  // and of its processors

	stopping atomic.Bool   // what a processor looks at between two entries
	ending   chan struct{} // closed with the first reason

	mu     sync.Mutex // devices hold theirs when they take it: nothing is called with it but Backend
	reason Reason
	gone   bool // the handle is no longer this instance's
	kept   bool // its shares of the host's memory and processors are, for the next instance: see share.stay

	given         []sys.Range // back, by the balloon, and not dealt with yet: its mutex guards it
	releaseFailed bool        // it was said that the host couldn't take back what the balloon gave
}

func newInstance(b Backend, host Host, spec *seed.VM, log *slog.Logger, out outlets) (*instance, error) {
	in := &instance{backend: b, host: host, spec: spec, log: log, ending: make(chan struct{}), gone: true, given: make([]sys.Range, 0, sys.MaxRanges)}
	var err error
	in.board, err = newBoard(spec, in, in, func(gsi uint8) device.Line { return &line{in, gsi} }, out, in)
	return in, err
}

// rename has what the host's processors and memory refuse the VM be said of it by its name of now.
func (in *instance) rename(name string) {
	in.slot.rename(name, in.spec.ID)
	in.share.rename(name, in.spec.ID)
}

// A line is an interrupt line of an instance.
type line struct {
	in  *instance
	gsi uint8
}

// Set drives the line, while there is a machine.
func (l *line) Set(level bool) {
	l.in.mu.Lock()
	if !l.in.gone {
		l.in.backend.Line(l.in.handle, l.gsi, level)
	}
	l.in.mu.Unlock()
}

// PowerOff, Reset and Exit are the guest's own ways to stop.
func (in *instance) PowerOff() { in.stop(Reason{Cause: PowerOff}) }

// Reset stops the instance for a reboot.
func (in *instance) Reset(how string) {
	if how == "acpi" {
		how = "acpi reset"
	}
	in.stop(Reason{Cause: Reboot, Text: how})
}

// Exit stops the instance with a test kernel's code.
func (in *instance) Exit(code uint32) { in.stop(Reason{Cause: ExitCode, Code: code}) }

// readPort and writePort reach the lower half's devices: for the instance's own processors.
func (in *instance) readPort(port uint16, size int) uint32 {
	return in.backend.ReadPort(in.handle, port, size)
}

func (in *instance) writePort(port uint16, size int, v uint32) {
	in.backend.WritePort(in.handle, port, size, v)
}

// stop asks the instance to end. It returns at once; the first reason counts.
func (in *instance) stop(r Reason) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.stopping.Load() {
		return
	}
	in.reason = r
	in.stopping.Store(true)
	close(in.ending)
	in.kick()
}

// stuckAfter is how long a stopping VM's processors have to come back from what they are doing.
const stuckAfter = 10 * time.Second

// run runs the processors until there is a reason to stop, destroys the machine and returns the
// reason.
func (in *instance) run() Reason {
	var processors sync.WaitGroup
	for _, c := range in.cpus {
		processors.Go(c.loop)
	}
	back := make(chan struct{})
	go func() {
		processors.Wait()
		close(back)
	}()
	<-in.ending
	select {
	case <-back:
	case <-time.After(stuckAfter):
		// A device model panicked with its mutex held. What they may still use is not given back.
		in.log.Error("vm stuck: its memory stays taken until the host restarts", "reason", in.reason.String())
		return in.reason
	}
	in.board.close()
	in.logFigures()
	in.kept = in.share != nil && in.slot != nil
	in.destroy()
	return in.reason
}

// destroy gives the machine back. Its processors don't run.
func (in *instance) destroy() {
	in.mu.Lock()
	had := !in.gone
	in.gone = true
	in.mu.Unlock()
	if in.slot != nil && !in.kept {
		defer in.slot.end()
	}
	if in.share != nil {
		in.share.rest()
		if in.kept {
			defer in.share.stay()
		} else {
			defer in.share.end()
		}
	}
	if !had {
		return
	}
	for _, c := range in.cpus {
		c.page = nil
	}
	in.memory = nil
	if err := in.backend.Destroy(in.handle); err != nil {
		in.log.Error("vm not destroyed", "error", err)
	}
}

// leave gives up what was kept for the next instance: there is none. The machine is gone. nil: nothing was.
func (in *instance) leave() {
	if in != nil && in.kept {
		in.share.end()
		in.slot.end()
	}
}
