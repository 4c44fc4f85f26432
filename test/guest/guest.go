package guest

import (
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"keel/test/machine"
	"keel/tools/guest/cpio"
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

// Balloon is Workload with the modules that the check of the balloon loads.
func Balloon(t testing.TB) []byte {
	t.Helper()
	dir := filepath.Join(filepath.Dir(Kernel(t)), "modules")
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatalf("%v (make guest fetches the kernel's modules)", err)
	}
	extra := []cpio.File{{Name: "modules", Mode: cpio.Dir | 0o755}}
	for _, e := range list {
		data, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		extra = append(extra, cpio.File{Name: "modules/" + e.Name(), Mode: cpio.Regular | 0o644, Data: data})
	}
	return initrdOf(t, "balloon", func() ([]byte, error) { return program("workload", "", extra...) })
}

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
	workload = sync.OnceValues(func() ([]byte, error) { return program("workload", "") })
	// The bench's first instruction reads the time-stamp counter.
	bench = sync.OnceValues(func() ([]byte, error) { return program("bench", "-E main.entry") })
)

// program builds the program in a folder of this package, with flags for the linker, and packs it as the only one of a
// guest, beside other files.
func program(name, flags string, extra ...cpio.File) ([]byte, error) {
	dir, err := os.MkdirTemp("", "keel-guest-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	out, ldflags := filepath.Join(dir, "init"), "-s -w "+flags
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
	return initrd.Pack(initrd.Single(data, extra...))
}
