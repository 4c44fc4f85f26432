package machine

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"keel/boot/iso"
)

// makeVariable finds a variable of the Makefile's, so that images for tests are built as Keel's is.
var makeVariable = regexp.MustCompile(`(?m)^(KERNEL_ENV|KERNEL_LDFLAGS)\s*:=\s*(.*)$`)

// BuildImage builds the main package pkg, such as "./cmd/keel", with Keel's flags and more for
// go build, as a bootable image in a folder of the test's, and returns its path.
func BuildImage(t testing.TB, pkg string, flags ...string) string {
	t.Helper()
	return BuildImageThat(t, pkg, nil, flags...)
}

// BuildImageThat is BuildImage with more flags for tools/mkimage, such as -ca.
func BuildImageThat(t testing.TB, pkg string, mkimage []string, flags ...string) string {
	t.Helper()
	root := Root(t)
	makefile, err := os.ReadFile(filepath.Join(root, "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	v := map[string]string{}
	for _, m := range makeVariable.FindAllStringSubmatch(string(makefile), -1) {
		v[m[1]] = m[2]
	}
	if len(v) != 2 {
		t.Fatalf("machine: the Makefile sets %v, want KERNEL_ENV and KERNEL_LDFLAGS", v)
	}
	dir := t.TempDir()
	raw, image := filepath.Join(dir, "image.raw"), filepath.Join(dir, "image.elf")
	build := append([]string{"build", "-trimpath", "-ldflags=" + v["KERNEL_LDFLAGS"], "-o", raw}, flags...)
	convert := append([]string{"run", "./tools/mkimage", "-o", image}, mkimage...)
	for _, args := range [][]string{append(build, pkg), append(convert, raw)} {
		c := exec.Command("go", args...)
		c.Dir = root
		c.Env = os.Environ()
		if args[0] == "build" {
			c.Env = append(c.Env, strings.Fields(v["KERNEL_ENV"])...)
		}
		if text, err := c.CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", c.Args, err, text)
		}
	}
	return image
}

// BuildISO makes a medium that boots an image at once, with words on its command line, and returns
// its path.
func BuildISO(t testing.TB, image, words string) string {
	t.Helper()
	if _, err := exec.LookPath("grub-mkrescue"); err != nil && os.Getenv(RequireEnv) == "" {
		t.Skip("grub-mkrescue is not installed (make setup installs it)")
	}
	out := filepath.Join(t.TempDir(), "medium.iso")
	if err := iso.Build(t.Context(), out, iso.Options{Kernel: image, Args: words, Quick: true}); err != nil {
		t.Fatal(err)
	}
	return out
}
