package machine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Files in a machine's folder.
const (
	serialFile   = "serial.log"   // what the first serial port sent
	emulatorFile = "emulator.log" // what the emulator itself said
)

// pollInterval is how long a line may lie in the serial log before it is seen.
const pollInterval = 10 * time.Millisecond

// Machine is a machine that Start can start: a QEMU or a Bochs.
type Machine interface {
	// Program returns the name of the emulator's program.
	Program() string
	// command writes what the emulator needs into dir, an absolute path, and
	// returns how to call it.
	command(dir string) (*command, error)
}

// command is how to call an emulator.
type command struct {
	args     []string
	env      []string // beside the caller's
	terminal bool     // needs a terminal
	// off reports whether the emulator, having ended with err in the
	// machine's folder, did so because the machine switched itself off.
	off func(dir string, err error) bool
}

// Process is a machine that was started. Its methods may be called from any
// goroutine, WaitFor from one at a time.
type Process struct {
	name  string
	dir   string
	cmd   *exec.Cmd
	limit time.Duration
	log   *os.File
	ended chan struct{} // closed when the emulator has ended and err is set
	err   error

	mu      sync.Mutex
	expired bool
	stopped bool
	unread  []byte // read from the log, not yet a whole line
	lines   []string
	next    int // index in lines of the first that WaitFor hasn't looked at
	failOn  *regexp.Regexp
}

// Start starts m with its files in dir, which is emptied and made. The machine
// is ended when it still runs after limit.
func Start(m Machine, dir string, limit time.Duration) (*Process, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("machine: %w", err)
	}
	if err := errors.Join(os.RemoveAll(dir), os.MkdirAll(dir, 0o755)); err != nil {
		return nil, fmt.Errorf("machine: %w", err)
	}
	path, err := exec.LookPath(m.Program())
	if err != nil {
		return nil, fmt.Errorf("machine: %w (make setup installs it)", err)
	}
	c, err := m.command(dir)
	if err != nil {
		return nil, fmt.Errorf("machine: %w", err)
	}
	// Made here, so that it can be read before the emulator opens it.
	log, err := os.OpenFile(filepath.Join(dir, serialFile), os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, fmt.Errorf("machine: %w", err)
	}
	p := &Process{name: m.Program(), dir: dir, limit: limit, log: log, ended: make(chan struct{})}
	p.cmd = exec.Command(path, c.args...)
	p.cmd.Dir = dir
	p.cmd.Env = append(os.Environ(), c.env...)
	if err := p.start(c); err != nil {
		log.Close()
		return nil, fmt.Errorf("machine: %s: %w", p.name, err)
	}
	return p, nil
}

// start starts the emulator in a process group of its own.
func (p *Process) start(c *command) error {
	out, err := os.Create(filepath.Join(p.dir, emulatorFile))
	if err != nil {
		return err
	}
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	drained := func() {}
	if c.terminal {
		drained, err = p.attachTerminal(out)
	} else {
		p.cmd.Stdout, p.cmd.Stderr = out, out
	}
	if err == nil {
		err = p.cmd.Start()
	}
	if err != nil {
		drained()
		out.Close()
		return err
	}
	timer := time.AfterFunc(p.limit, func() {
		p.mu.Lock()
		p.expired = true
		p.mu.Unlock()
		p.kill()
	})
	go func() {
		err := p.cmd.Wait()
		timer.Stop()
		drained()
		out.Close()
		p.mu.Lock()
		switch {
		case p.expired:
			p.err = fmt.Errorf("still running after its limit of %v, ended", p.limit)
		case p.stopped, c.off(p.dir, err):
		case err == nil:
			p.err = errors.New("ended without the machine having been switched off")
		default:
			p.err = fmt.Errorf("ended with %w: %s", err, lastLine(filepath.Join(p.dir, emulatorFile)))
		}
		p.mu.Unlock()
		close(p.ended)
	}()
	return nil
}

// attachTerminal gives the emulator a terminal as its standard files and copies
// what it shows to out. The function returned waits for the last of it.
func (p *Process) attachTerminal(out io.Writer) (drained func(), err error) {
	master, slave, err := openTerminal()
	if err != nil {
		return func() {}, err
	}
	p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = slave, slave, slave
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	p.cmd.Env = append(p.cmd.Environ(), "TERM=xterm")
	done := make(chan struct{})
	go func() {
		io.Copy(&screenFinder{out: out}, master) // ends with EIO when the last slave is closed
		master.Close()
		close(done)
	}()
	return func() { slave.Close(); <-done }, nil
}

// kill ends the emulator and what it may have started.
func (p *Process) kill() {
	syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
}

// Stop ends the machine, as pulling its plug would, and waits until it is gone.
func (p *Process) Stop() {
	p.mu.Lock()
	p.stopped = true
	p.mu.Unlock()
	select {
	case <-p.ended:
	default:
		p.kill()
		<-p.ended
	}
}

// Wait waits until the machine has switched itself off. It returns an error
// when it ended otherwise, and when ctx is done first.
func (p *Process) Wait(ctx context.Context) error {
	select {
	case <-p.ended:
		if p.err != nil {
			return p.errorf("%w", p.err)
		}
		return nil
	case <-ctx.Done():
		return p.errorf("waiting for power-off: %w", context.Cause(ctx))
	}
}

// FailOn makes WaitFor return an error as soon as it reads a line that matches re.
func (p *Process) FailOn(re *regexp.Regexp) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.failOn = re
}

// WaitFor waits for a line on the serial port that matches want and returns
// what FindStringSubmatch does. It begins with the line after the one that the
// call before it returned. When the machine ends or ctx is done before such a
// line has come, the error holds the tail of the log.
func (p *Process) WaitFor(ctx context.Context, want *regexp.Regexp) ([]string, error) {
	for {
		gone := false
		select {
		case <-p.ended:
			gone = true
		default:
		}
		p.mu.Lock()
		match, failed := p.scan(want, gone)
		p.mu.Unlock()
		switch {
		case match != nil:
			return match, nil
		case failed != "":
			return nil, p.errorf("waiting for %q: the machine said %q", want, failed)
		case gone && p.err != nil:
			return nil, p.errorf("waiting for %q: %w", want, p.err)
		case gone:
			return nil, p.errorf("waiting for %q: the machine has ended", want)
		}
		select {
		case <-ctx.Done():
			return nil, p.errorf("waiting for %q: %w", want, context.Cause(ctx))
		case <-p.ended:
		case <-time.After(pollInterval):
		}
	}
}

// scan looks for want in what has come since the last call. p.mu is held.
func (p *Process) scan(want *regexp.Regexp, gone bool) (match []string, failed string) {
	p.read(gone)
	for ; p.next < len(p.lines); p.next++ {
		line := p.lines[p.next]
		if m := want.FindStringSubmatch(line); m != nil {
			p.next++
			return m, ""
		}
		if p.failOn != nil && p.failOn.MatchString(line) {
			p.next++
			return nil, line
		}
	}
	return nil, ""
}

// read moves what the log has grown by into p.lines; at its end, also what has
// no newline yet. p.mu is held.
func (p *Process) read(end bool) {
	more, _ := io.ReadAll(p.log) // errors show as a line that doesn't come
	p.unread = append(p.unread, more...)
	for {
		line, rest, found := bytes.Cut(p.unread, []byte("\n"))
		if !found {
			break
		}
		p.lines = append(p.lines, string(bytes.Trim(line, "\r")))
		p.unread = rest
	}
	if end && len(p.unread) > 0 {
		p.lines = append(p.lines, string(p.unread))
		p.unread = nil
	}
}

// Lines returns all lines that the serial port has sent so far.
func (p *Process) Lines() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.ended:
		p.read(true)
	default:
		p.read(false)
	}
	return p.lines[:len(p.lines):len(p.lines)]
}

// Tail returns the last n lines that the serial port has sent.
func (p *Process) Tail(n int) string {
	lines := p.Lines()
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// Follow copies what the serial port sends to w until the machine has ended,
// and reports an error only of w.
func (p *Process) Follow(w io.Writer) error {
	log, err := os.Open(p.log.Name())
	if err != nil {
		return err
	}
	defer log.Close()
	for {
		gone := false
		select {
		case <-p.ended:
			gone = true
		case <-time.After(pollInterval):
		}
		if _, err := io.Copy(w, log); err != nil || gone {
			return err
		}
	}
}

// Dir returns the folder with the machine's logs.
func (p *Process) Dir() string { return p.dir }

// tailLines is how much of the serial log an error shows.
const tailLines = 40

func (p *Process) errorf(format string, args ...any) error {
	err := fmt.Errorf(format, args...)
	return fmt.Errorf("%s: %w\n--- tail of %s\n%s\n---", p.name, err, p.log.Name(), p.Tail(tailLines))
}

// lastLine returns the last line of a file that isn't blank.
func lastLine(path string) string {
	data, _ := os.ReadFile(path) // only to say more in an error
	data = bytes.TrimSpace(data)
	return string(bytes.TrimSpace(data[bytes.LastIndexByte(data, '\n')+1:]))
}
