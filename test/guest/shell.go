package guest

import (
	_ "embed"
	"os"
	"path/filepath"
	"testing"

	"keel/tools/guest/initrd"
)

//go:embed shell.sh
var shell string

// Shell returns the initial file system of a guest whose console leads to a shell, which says "shell ready" first.
func Shell(t testing.TB) []byte {
	t.Helper()
	busybox, err := os.ReadFile(filepath.Join(filepath.Dir(Kernel(t)), "busybox"))
	if err != nil {
		t.Fatalf("%v (make guest fetches it)", err)
	}
	return initrdOf(t, "shell", func() ([]byte, error) { return initrd.Pack(initrd.Script(busybox, shell)) })
}
