package initrd

import (
	"bytes"
	"compress/gzip"
	"io"
	"strings"
	"testing"
)

func TestPackIsTheSameEachTime(t *testing.T) {
	files := Script([]byte("busybox"), Demo, Program("bin/extra", []byte("x")))
	a, err := Pack(files)
	if err != nil {
		t.Fatal(err)
	}
	b, err := Pack(files)
	if err != nil || !bytes.Equal(a, b) {
		t.Errorf("two packs differ (%v)", err)
	}
	z, err := gzip.NewReader(bytes.NewReader(a))
	if err != nil {
		t.Fatal(err)
	}
	archive, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"dev/console\x00", "bin/sh\x00", "bin/extra\x00", "init\x00", "Hello from the guest"} {
		if !bytes.Contains(archive, []byte(want)) {
			t.Errorf("the archive holds no %q", want)
		}
	}
}

// TestDemoUsesOnlyAppletsThatItHas looks at the first word of each command.
func TestDemoUsesOnlyAppletsThatItHas(t *testing.T) {
	have := " " + strings.Join(applets, " ") + " "
	for line := range strings.Lines(Demo) {
		line = strings.ReplaceAll(line, "$(", "\n")
		for command := range strings.Lines(line) {
			word, _, _ := strings.Cut(strings.TrimSpace(command), " ")
			word = strings.TrimRight(word, `)"`)
			if word != "" && !strings.HasPrefix(word, "#") && !strings.Contains(have, " "+word+" ") {
				t.Errorf("%q uses %s, which isn't among the applets", strings.TrimSpace(line), word)
			}
		}
	}
}
