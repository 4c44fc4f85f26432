package e2e

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"keel/test/machine"
	"keel/vmkernel/seed"
)

var (
	faultLine = regexp.MustCompile(`^level=ERROR msg="fatal fault" cause="machine check `)
	traceLine = regexp.MustCompile(`^crash\|   at 0x[0-9a-f]+ [a-z/]+\.`)
	safeLine  = regexp.MustCompile(`^level=WARN msg="safe start: the host has crashed three times`)
)

// A machine check, which QEMU's monitor makes, is a fatal fault: it is reported with a backtrace,
// the host restarts as its seed says, and shows what happened. After the third one within ten
// minutes it starts no VM.
func TestFatalFaultIsRecordedAndThirdStartsSafely(t *testing.T) {
	monitor := filepath.Join(t.TempDir(), "monitor")
	h := seed.DefaultHost()
	h.Name = "keel-test"
	data, err := seed.Pack(h, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "seed.tar")
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	r := run{machine.Boot(t, machine.QEMU{
		Kernel: image(t), Seed: path, CPUs: 2, MemMiB: 512, Reboot: true,
		Extra: []string{"-monitor", "unix:" + monitor + ",server,nowait"},
	}, 2*time.Minute), t}
	for range 3 {
		r.ready()
		machineCheck(t, monitor)
		r.want(faultLine)
	}
	r.want(traceLine)
	r.want(safeLine)
	r.Stop()
}

// want waits for a line.
func (r run) want(line *regexp.Regexp) {
	r.t.Helper()
	if _, err := r.WaitFor(r.t.Context(), line); err != nil {
		r.t.Fatal(err)
	}
}

// machineCheck has QEMU raise an uncorrected machine check on processor 0.
func machineCheck(t *testing.T, monitor string) {
	t.Helper()
	c, err := net.Dial("unix", monitor)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(10 * time.Second))
	buf := make([]byte, 4096)
	if _, err := c.Read(buf); err != nil { // the prompt
		t.Fatal(err)
	}
	if _, err := fmt.Fprintln(c, "mce -b 0 0 0xb200000000000135 0x5 0 0"); err != nil {
		t.Fatal(err)
	}
	c.Read(buf)
	time.Sleep(200 * time.Millisecond) // until it has read the line
}
