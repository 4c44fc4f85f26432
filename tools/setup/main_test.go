package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestMissingNamesThePackageOfEachFileOnce(t *testing.T) {
	there := func(file string) bool {
		return file == "xorriso" || file == "mformat" || strings.Contains(file, "i386-pc")
	}
	got, err := missing([]string{"image", "bench", "image"}, there)
	if want := []string{"grub-common", "grub-efi-amd64-bin", "zstd"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("got %q, %v; want %q", got, err, want)
	}
	if got, err := missing([]string{"image"}, func(string) bool { return true }); err != nil || got != nil {
		t.Errorf("with all there: %q, %v", got, err)
	}
	if _, err := missing([]string{"imag"}, there); err == nil || !strings.Contains(err.Error(), "image") {
		t.Errorf("unknown group: error %v, want one that lists the groups", err)
	}
}

func TestPresentLooksForProgramsAndPatterns(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "plugin-1.so"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("nowhere", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]bool{
		"go":                               true,
		"no-such-program-of-keel":          false,
		filepath.Join(dir, "plugin-?.so"):  true,
		filepath.Join(dir, "plugin-?.dll"): false,
		filepath.Join(dir, "link"):         false,
	} {
		if present(file) != want {
			t.Errorf("present(%q) = %v, want %v", file, !want, want)
		}
	}
}
