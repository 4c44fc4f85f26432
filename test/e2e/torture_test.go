package e2e

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"keel/test/machine"
)

// What the torture program and the lower half say, see test/torture.
var (
	tortureEnd  = regexp.MustCompile(`^torture\| (\d+) passed, (\d+) failed$`)
	tortureFail = regexp.MustCompile(`^torture\| FAIL|^level=ERROR|^fatal error:|^panic:`)
)

// TestTorture runs the torture program on the metal: every check must pass, and the machine must
// switch itself off.
func TestTorture(t *testing.T) {
	image := machine.BuildImage(t, "./test/torture")
	// QEMU's processors are threads that share the host's with whatever else runs there: how work
	// speeds up and how late timers are is reported, and asserted in Bochs, whose time is its own.
	qemu := func(cpus, mem int) (machine.Machine, time.Duration) {
		return machine.QEMU{Kernel: image, Accel: machine.Threads, CPUs: cpus, MemMiB: mem, Args: "scale=1 rtc=8192"}, 5 * time.Minute
	}
	bochs := func(cpus int) (machine.Machine, time.Duration) {
		words := fmt.Sprintf("scale=1 rtc=1024 late=20 speedup=%d", 80*cpus)
		return machine.Bochs{ISO: machine.BuildISO(t, image, words), CPUs: cpus, MemMiB: 2048}, 20 * time.Minute
	}
	for _, c := range []struct {
		name     string
		parallel bool // a Bochs uses one processor, and its time isn't the host's
		machine  func() (machine.Machine, time.Duration)
	}{
		{"QEMU/1", false, func() (machine.Machine, time.Duration) { return qemu(1, 256) }},
		{"QEMU/2", false, func() (machine.Machine, time.Duration) { return qemu(2, 16384) }},
		{"QEMU/4", false, func() (machine.Machine, time.Duration) { return qemu(4, 2048) }},
		{"Bochs/4", true, func() (machine.Machine, time.Duration) { return bochs(4) }},
		{"Bochs/1", true, func() (machine.Machine, time.Duration) { return bochs(1) }},
		{"Bochs/2", true, func() (machine.Machine, time.Duration) { return bochs(2) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.parallel {
				t.Parallel()
			}
			m, limit := c.machine()
			runChecks(t, m, limit, "torture|", tortureEnd, tortureFail)
		})
	}
}

// TestTortureReference runs the same program on Linux.
func TestTortureReference(t *testing.T) {
	program := buildProgram(t)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	text, err := exec.CommandContext(ctx, program).CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, text)
	}
	if !regexp.MustCompile(`(?m)^torture\| \d+ passed, 0 failed$`).Match(text) {
		t.Errorf("no end without failures in\n%s", text)
	}
}

func buildProgram(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "torture")
	c := exec.Command("go", "build", "-o", program, "./test/torture")
	c.Dir = machine.Root(t)
	if text, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return program
}

// TestTortureEnds kills the upper half in each way that the Go runtime dies, on the metal and on
// Linux. The runtime's report must be the same, and the lower half says what became of the host.
func TestTortureEnds(t *testing.T) {
	image := machine.BuildImage(t, "./test/torture")
	program := buildProgram(t)
	for _, c := range []struct {
		name     string
		report   string // Go's own
		restarts bool
	}{
		{"oom", `out of memory`, false},
		{"throw", `^fatal error: concurrent map writes$`, false},
		{"panic", `^panic: on purpose$`, false},
		{"restart", `^fatal error: concurrent map writes$`, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := machine.Boot(t, machine.QEMU{Kernel: image, Accel: machine.Threads, CPUs: 2, MemMiB: 256, Args: "torture=" + c.name}, 3*time.Minute)
			p.FailOn(regexp.MustCompile(`^torture\| FAIL`))
			last := `msg="?halted`
			if c.restarts {
				last = `msg="?restarting`
			}
			for _, want := range []string{c.report, `the upper half ended code=2`, last} {
				if _, err := p.WaitFor(t.Context(), regexp.MustCompile(want)); err != nil {
					t.Fatal(err)
				}
			}
			if c.restarts {
				if err := p.Wait(t.Context()); err != nil { // QEMU ends instead
					t.Error(err)
				}
				return
			}
			text, err := exec.CommandContext(t.Context(), program, "torture="+c.name).CombinedOutput()
			if !regexp.MustCompile("(?m)" + c.report).Match(text) {
				t.Errorf("on Linux: %v, want %q in\n%s", err, c.report, text)
			}
		})
	}
}
