package handover

import (
	"strings"
	"testing"

	"keel/boot/physmem/memtest"
)

func withCommandLine(s string) *Handover {
	h := &Handover{CommandLineLength: uint32(len(s))}
	copy(h.CommandLine[:], s)
	return h
}

func TestOption(t *testing.T) {
	h := withCommandLine("  safe\tconsole=ttyS0 seed=/a=b x= seed=last")
	for name, want := range map[string]bool{
		"safe": true, "saf": false, "safer": false, "console": false, "console=ttyS0": true, "": false, "seed=last": true,
	} {
		if got := h.Option(name); got != want {
			t.Errorf("Option(%q) = %v", name, got)
		}
	}
	for _, c := range []struct {
		name, want string
		found      bool
	}{
		{"console", "ttyS0", true}, {"seed", "last", true}, {"x", "", true}, {"safe", "", false}, {"see", "", false}, {"seed=/a", "b", true},
	} {
		if got, found := h.Value(c.name); string(got) != c.want || found != c.found {
			t.Errorf("Value(%q) = %q, %v, want %q, %v", c.name, got, found, c.want, c.found)
		}
	}
	var empty Handover
	if empty.Option("safe") {
		t.Error("an empty command line has an option")
	}
}

func TestCommandLineIsCutAtTheBuffer(t *testing.T) {
	for _, c := range []struct {
		length    int
		truncated bool
	}{{TextSize - 1, false}, {TextSize, false}, {TextSize + 1, true}, {3 * TextSize, true}} {
		image := memtest.New(t, 0x8000)
		putPVH(image)
		image.Put(0x3000, strings.Repeat("x", c.length), uint8(0))
		image.Put(0x1000+24, uint64(0x3000))
		var h Handover
		if e := FromPVH(image.Memory(), 0x1000, &h); e != "" {
			t.Fatal(e)
		}
		if int(h.CommandLineLength) != min(c.length, TextSize) || h.CommandLineTruncated != c.truncated {
			t.Errorf("%d bytes: length %d, truncated %v", c.length, h.CommandLineLength, h.CommandLineTruncated)
		}
		if !h.Option(strings.Repeat("x", min(c.length, TextSize))) {
			t.Error("a word that fills the buffer is not found")
		}
	}
}

func TestCommandLineThatRunsOutOfMemoryIsCut(t *testing.T) {
	image := memtest.New(t, 0x3002)
	putPVH(image)
	image.Put(0x3000, "ab")
	image.Put(0x1000+24, uint64(0x3000))
	var h Handover
	if e := FromPVH(image.Memory(), 0x1000, &h); e != "" {
		t.Fatal(e)
	}
	if !h.Option("ab") || !h.CommandLineTruncated {
		t.Errorf("%q, truncated %v", h.CommandLine[:h.CommandLineLength], h.CommandLineTruncated)
	}
}
