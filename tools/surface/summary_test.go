package main

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"keel/test/machine"
	"keel/tools/kernel/toolchain"
)

// within is how far README may be from what was built now: the sizes differ a little from one Go to
// the next, and with every change.
const within = 0.05

var ring0Row = regexp.MustCompile(`^(.*?) +(\d+) +(\d+) +(\d+)$`)

// TestREADMEShowsTheSummary compares README with the image and the tables of now, by the stock toolchain whatever others
// are tested with.
func TestREADMEShowsTheSummary(t *testing.T) {
	t.Setenv("TOOLCHAIN", toolchain.Go)
	raw := filepath.Join(filepath.Dir(machine.BuildImage(t, machine.Keel)), "image.raw")
	groups, err := ring0(raw)
	if err != nil {
		t.Fatal(err)
	}
	r, err := reach(root)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := printSummary(&b, groups, r); err != nil {
		t.Fatal(err)
	}
	readme, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string][]string{}
	for line := range strings.Lines(string(readme)) {
		if m := ring0Row.FindStringSubmatch(strings.TrimSpace(line)); m != nil {
			rows[m[1]] = m[2:]
		}
	}
	stale := false
	for line := range strings.Lines(b.String()) {
		line = strings.TrimSpace(line)
		m := ring0Row.FindStringSubmatch(line)
		switch {
		case m == nil:
			stale = stale || !strings.Contains(string(readme), line)
		case rows[m[1]] == nil:
			stale = true
		default:
			for i, shown := range rows[m[1]] {
				stale = stale || !near(shown, m[2+i])
			}
		}
	}
	if stale {
		t.Errorf("README.md is not what `go run ./tools/surface -summary` prints:\n%s", b.String())
	}
}

func near(shown, is string) bool {
	a, err := strconv.ParseFloat(shown, 64)
	b, err2 := strconv.ParseFloat(is, 64)
	return err == nil && err2 == nil && math.Abs(a-b) <= within*b
}
