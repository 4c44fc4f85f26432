package machine

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
	"time"
)

// RequireEnv, when set, makes a missing emulator a failure instead of a skip.
// `make test` sets it, having installed them.
const RequireEnv = "KEEL_REQUIRE_EMULATORS"

// Boot starts m for a test. The machine ends with the test at the latest, and
// its folder, build/test/<the package>-<the test's name>, stays.
// When the test fails, the tail of the serial log is printed.
func Boot(t testing.TB, m Machine, limit time.Duration) *Process {
	t.Helper()
	if _, err := exec.LookPath(m.Program()); err != nil && os.Getenv(RequireEnv) == "" {
		t.Skipf("%s is not installed (make setup installs it)", m.Program())
	}
	root := Root(t)
	pkg, err := filepath.Rel(root, mustGetwd(t)) // go test runs in the package's folder
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(root, "build", "test", unsafeInNames.ReplaceAllString(pkg+"-"+t.Name(), "-"))
	p, err := Start(m, dir, limit)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.Stop()
		if t.Failed() {
			t.Logf("%s, tail of %s:\n%s", m.Program(), p.log.Name(), p.Tail(tailLines))
		}
		p.log.Close()
	})
	return p
}

var unsafeInNames = regexp.MustCompile(`[^A-Za-z0-9._-]+`)

// Root returns the top folder of the source.
func Root(t testing.TB) string {
	t.Helper()
	for dir := mustGetwd(t); ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		if dir == filepath.Dir(dir) {
			t.Fatal("machine: no go.mod in this folder or above")
		}
	}
}

func mustGetwd(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}
