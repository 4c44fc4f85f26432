package vmx

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	escape    = regexp.MustCompile(`escapes to heap|moved to heap`)
	listing   = regexp.MustCompile(`^\t0x[0-9a-f]+ \d+ \([^)]*\)\t(\S+)\t?(.*)$`)
	vectorReg = regexp.MustCompile(`\b[XYZ](\d+)\b`)
	symbol    = regexp.MustCompile(`([\w./*()]+\.[\w.*()]+)\(SB\)`)
	ours      = regexp.MustCompile(`^keel/arch/amd64(/vmx|/virt)?\.|^runtime\.(panic(Index|Bounds|Shift|divide|shift)\w*|morestack)`)
)

// breach says which rule of the lower half a line of assembly breaks, "" for none.
func breach(op, args string) string {
	for _, m := range vectorReg.FindAllStringSubmatch(args, -1) {
		if m[1] != "14" && m[1] != "15" || op != "MOVUPS" && op != "XORPS" {
			return "touches a vector register that the guest still has"
		}
	}
	if strings.HasPrefix(op, "DUFF") || op == "VZEROUPPER" {
		return "touches vector registers"
	}
	if op != "CALL" && op != "JMP" {
		return ""
	}
	if m := symbol.FindStringSubmatch(args); m != nil && !ours.MatchString(m[1]) || op == "CALL" && m == nil {
		return "leaves the lower half"
	}
	return ""
}

func TestCompiledCodeKeepsTheRulesOfTheLowerHalf(t *testing.T) {
	if testing.CoverMode() != "" {
		t.Skip("coverage counters change the code")
	}
	cmd := exec.Command("go", "build", "-gcflags=-S -m=1", "-o", os.DevNull, ".")
	cmd.Env = append(os.Environ(), "GOOS=linux", "GOARCH=amd64", "CGO_ENABLED=0")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	lines, generated := 0, false
	for line := range strings.Lines(string(out)) {
		if escape.MatchString(line) {
			t.Errorf("allocates: %s", line)
		}
		if strings.Contains(line, " STEXT ") {
			generated = strings.HasPrefix(line, "type:.eq.") // nothing here compares whole structs
		}
		m := listing.FindStringSubmatch(strings.TrimRight(line, "\n"))
		if m == nil || generated {
			continue
		}
		lines++
		if why := breach(m[1], m[2]); why != "" {
			t.Errorf("%s: %s", why, line)
		}
		if strings.Contains(m[2], "gcWriteBarrier") || strings.Contains(m[2], "writeBarrier(SB)") {
			t.Errorf("stores a Go pointer: %s", line)
		}
	}
	if lines < 1000 {
		t.Errorf("only %d instructions seen", lines)
	}
}

func TestAssemblyTouchesNoOtherVectorRegister(t *testing.T) {
	files, _ := filepath.Glob("*.s")
	if len(files) == 0 {
		t.Fatal("no assembly found")
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for i, line := range strings.Split(string(text), "\n") {
			code, _, _ := strings.Cut(line, "//")
			op, args, _ := strings.Cut(strings.TrimSpace(code), " ")
			if why := breach(op, args); why != "" && vectorReg.MatchString(args) {
				t.Errorf("%s:%d: %s: %s", name, i+1, why, line)
			}
		}
	}
}

func TestBreach(t *testing.T) {
	for _, c := range []struct {
		op, args string
		bad      bool
	}{
		{"MOVUPS", "X15, (AX)", false},
		{"XORPS", "X15, X15", false},
		{"MOVUPS", "X0, (AX)", true},
		{"MOVSD", "X15, (AX)", true},
		{"DUFFZERO", "$100", true},
		{"CALL", "runtime.memmove(SB)", true},
		{"CALL", "runtime.panicIndex(SB)", false},
		{"CALL", "keel/arch/amd64.RDMSR(SB)", false},
		{"CALL", "CX", true},
		{"JMP", "120", false},
	} {
		if got := breach(c.op, c.args); (got != "") != c.bad {
			t.Errorf("breach(%q, %q) = %q", c.op, c.args, got)
		}
	}
}
