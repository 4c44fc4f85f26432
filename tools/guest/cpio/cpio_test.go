package cpio

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

// list reads an archive back as one line a file.
func list(t *testing.T, b []byte) []string {
	t.Helper()
	var lines []string
	for {
		var v [13]uint32
		if len(b) < 110 || string(b[:6]) != "070701" {
			t.Fatalf("no header after %q", lines)
		}
		for i := range v {
			if _, err := fmt.Sscanf(string(b[6+8*i:14+8*i]), "%08x", &v[i]); err != nil {
				t.Fatal(err)
			}
		}
		size, nameSize := int(v[6]), int(v[11])
		name := string(b[110 : 110+nameSize-1])
		start := (110 + nameSize + 3) &^ 3
		end := (start + size + 3) &^ 3
		if len(b) < end {
			t.Fatalf("%s is cut off", name)
		}
		if name == "TRAILER!!!" {
			if len(b) != end {
				t.Errorf("%d bytes follow the trailer", len(b)-end)
			}
			return lines
		}
		lines = append(lines, fmt.Sprintf("%s %o %d,%d %d %q", name, v[1], v[9], v[10], v[4], b[start:start+size]))
		b = b[end:]
	}
}

func TestWriteAddsFoldersAndKeepsContents(t *testing.T) {
	var a, b bytes.Buffer
	files := []File{
		{Name: "init", Mode: Regular | 0o755, Data: []byte("#!/bin/sh\n")},
		{Name: "dev/console", Mode: Char | 0o600, Major: 5, Minor: 1},
		{Name: "a/b/c", Mode: Link | 0o777, Data: []byte("../d")},
		{Name: "a/e", Mode: Regular},
		{Name: "proc", Mode: Dir | 0o555},
	}
	for _, w := range []*bytes.Buffer{&a, &b} {
		if err := Write(w, files); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(a.Bytes(), b.Bytes()) {
		t.Error("two archives of the same files differ")
	}
	want := []string{
		`init 100755 0,0 1 "#!/bin/sh\n"`,
		`dev 40755 0,0 2 ""`,
		`dev/console 20600 5,1 1 ""`,
		`a 40755 0,0 2 ""`,
		`a/b 40755 0,0 2 ""`,
		`a/b/c 120777 0,0 1 "../d"`,
		`a/e 100000 0,0 1 ""`,
		`proc 40555 0,0 2 ""`,
	}
	if got := list(t, a.Bytes()); strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestWriteRefusesNames(t *testing.T) {
	for _, names := range [][]string{{""}, {"/init"}, {"../x"}, {"a//b"}, {"a/"}, {"."}, {"a\x00b"}, {"x", "x"}} {
		var files []File
		for _, n := range names {
			files = append(files, File{Name: n, Mode: Regular})
		}
		if err := Write(new(bytes.Buffer), files); err == nil {
			t.Errorf("%q was accepted", names)
		}
	}
}
