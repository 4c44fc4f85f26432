package machine

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"keel/boot/iso"
	"keel/tools/kernel/toolchain"
)

// BuildImage builds the main package pkg, such as "./cmd/keel", by the toolchain that the environment names and with
// more flags for go build, as a bootable image in a folder of the test's, and returns its path.
func BuildImage(t testing.TB, pkg string, flags ...string) string {
	t.Helper()
	return BuildImageThat(t, pkg, nil, flags...)
}

// Keel is the package of Keel's own image, which says what version it is.
const Keel = "./cmd/keel"

// BuildImageThat is BuildImage with more flags for tools/mkimage, such as -ca.
func BuildImageThat(t testing.TB, pkg string, mkimage []string, flags ...string) string {
	t.Helper()
	root := Root(t)
	kernels, err := toolchain.FromEnvironment(t.Context(), root)
	if err != nil {
		t.Fatal(err)
	}
	if pkg != Keel {
		flags = append(flags, "-buildvcs=false") // the program's image is the same in every checkout then, and so are its runs in Bochs
	}
	dir := t.TempDir()
	raw, image := filepath.Join(dir, "image.raw"), filepath.Join(dir, "image.elf")
	if err := kernels.Build(t.Context(), pkg, raw, flags...); err != nil {
		t.Fatal(err)
	}
	c := exec.Command("go", append(append([]string{"run", "./tools/mkimage", "-o", image}, mkimage...), raw)...)
	c.Dir = root
	if text, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", c.Args, err, text)
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
