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
// switch itself off. QEMU's processors are threads that share the host's with whatever else runs there: how work
// speeds up and how late timers are is reported, and asserted in Bochs, whose time is its own.
func TestTorture(t *testing.T) {
	image := machine.BuildImage(t, "./test/torture")
	for _, c := range []struct{ cpus, memMiB int }{{1, 256}, {2, 16384}, {4, 2048}} {
		t.Run(fmt.Sprintf("QEMU/%d", c.cpus), func(t *testing.T) {
			m := machine.QEMU{Kernel: image, Accel: machine.Threads, CPUs: c.cpus, MemMiB: c.memMiB, Args: "scale=1 rtc=8192"}
			runChecks(t, m, 10*time.Minute, "torture|", tortureEnd, tortureFail)
		})
	}
}

// TestTortureInBochs is TestTorture there.
func TestTortureInBochs(t *testing.T) {
	t.Parallel()
	image := machine.BuildImage(t, "./test/torture")
	for _, cpus := range []int{4, 1, 2} {
		t.Run(fmt.Sprint(cpus), func(t *testing.T) {
			t.Parallel()
			words := fmt.Sprintf("scale=1 rtc=1024 late=20 speedup=%d", 80*cpus)
			m := machine.Bochs{ISO: machine.BuildISO(t, image, words), CPUs: cpus, MemMiB: 2048}
			runChecks(t, m, 20*time.Minute, "torture|", tortureEnd, tortureFail)
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
