package guest

import (
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"keel/test/machine"
	"keel/tools/guest/initrd"
)

// Kernel returns the path of Debian's cloud kernel, which `make guest` fetches.
func Kernel(t testing.TB) string {
	t.Helper()
	path := filepath.Join(machine.Root(t), "build", "guest", "vmlinuz")
	if _, err := os.Stat(path); err != nil {
		if os.Getenv(machine.RequireEnv) == "" {
			t.Skipf("%v (make guest fetches it)", err)
		}
		t.Fatalf("%v (make guest fetches it)", err)
	}
	return path
}

// Workload returns the initial file system whose /init is the program workload.
func Workload(t testing.TB) []byte { return initrdOf(t, "workload", workload) }

// Bench returns the initial file system whose /init is the program bench.
func Bench(t testing.TB) []byte { return initrdOf(t, "bench", bench) }

func initrdOf(t testing.TB, name string, build func() ([]byte, error)) []byte {
	t.Helper()
	data, err := build()
	if err != nil {
		t.Fatalf("guest %s: %v", name, err)
	}
	return data
}

var (
	workload = sync.OnceValues(func() ([]byte, error) { return program("workload") })
	// The bench's first instruction reads the time-stamp counter.
	bench = sync.OnceValues(func() ([]byte, error) { return program("bench", "-E main.entry") })
)

// program builds the program in a folder of this package and packs it as the only one of a guest.
func program(name string, flags ...string) ([]byte, error) {
	dir, err := os.MkdirTemp("", "keel-guest-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	out, ldflags := filepath.Join(dir, "init"), "-s -w"
	for _, f := range flags {
		ldflags += " " + f
	}
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags", ldflags, "-o", out, "keel/test/guest/"+name)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64", "GOAMD64=v1")
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		return nil, err
	}
	data, err := os.ReadFile(out)
	if err != nil {
		return nil, err
	}
	return initrd.Pack(initrd.Single(data))
}
