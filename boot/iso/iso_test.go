package iso

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestGrubConfigNamesTheFilesThatBuildWrites(t *testing.T) {
	for _, path := range []string{kernelPath, seedPath, menuPath} {
		if !bytes.Contains(grubConfig, []byte(path)) {
			t.Errorf("grub.cfg does not mention %s", path)
		}
	}
}

func TestBuildRefusesWhatItCannotPutOnAMedium(t *testing.T) {
	dir := t.TempDir()
	kernel := filepath.Join(dir, "keel.elf")
	if err := os.WriteFile(kernel, []byte("kernel"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, want string
		options    Options
	}{
		{"no kernel", "missing.elf", Options{Kernel: filepath.Join(dir, "missing.elf")}},
		{"no seed", "missing.tar", Options{Kernel: kernel, Seed: filepath.Join(dir, "missing.tar")}},
		{"quote in arguments", "kernel arguments", Options{Kernel: kernel, Args: `x"; halt`}},
		{"variable in arguments", "kernel arguments", Options{Kernel: kernel, Args: "$x"}},
	} {
		out := filepath.Join(dir, "out.iso")
		err := Build(t.Context(), out, c.options)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one that mentions %q", c.name, err, c.want)
		}
		if _, err := os.Stat(out); err == nil {
			t.Errorf("%s: a medium was written", c.name)
		}
	}
}

func TestMediumHoldsKernelAndSeed(t *testing.T) {
	for _, tool := range []string{"grub-mkrescue", "xorriso", "mformat"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is not installed", tool)
		}
	}
	dir := t.TempDir()
	odd := filepath.Join(dir, `a=b \c`)
	if err := os.Mkdir(odd, 0o755); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{kernelPath: "the kernel", seedPath: "the seed", menuPath: "set timeout=0\nset keel_quick=yes\nset keel_args=\"safe x=1\"\n"}
	kernel, seed, out := filepath.Join(odd, "k"), filepath.Join(odd, "s"), filepath.Join(dir, "out.iso")
	for path, text := range map[string]string{kernel: want[kernelPath], seed: want[seedPath]} {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := Build(t.Context(), out, Options{Kernel: kernel, Seed: seed, Args: "safe x=1", Quick: true}); err != nil {
		t.Fatal(err)
	}
	for path, text := range want {
		back := filepath.Join(dir, "back")
		os.Remove(back)
		if text, err := exec.Command("xorriso", "-indev", out, "-osirrox", "on", "-extract", path, back).CombinedOutput(); err != nil {
			t.Fatalf("reading %s back: %v\n%s", path, err, text)
		}
		got, err := os.ReadFile(back)
		if err != nil || string(got) != text {
			t.Errorf("%s holds %q (%v), want %q", path, got, err, text)
		}
	}
}
