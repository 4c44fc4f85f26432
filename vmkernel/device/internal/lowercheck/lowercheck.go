package lowercheck

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// imports are the packages outside this module that fast lower-half code may use: all of them compile to instructions.
var imports = map[string]bool{"math/bits": true, "sync/atomic": true}

// module is the prefix of the packages that carry a lowercheck test of their own, so that calls into them are proven there.
const module = "keel/vmkernel/device/"

// panics are the runtime's fatal ends of a check. They are never reached by a correct program, and the lower half's stack
// check and fatal-fault path catch them.
var panics = regexp.MustCompile(`^runtime\.(panic(Index|Slice|divide|shift|overflow|wrap|bounds|Bounds|mem|nil)\w*|morestack\w*)\(SB\)$`)

var (
	escape      = regexp.MustCompile(`^(\S+): (.*(escapes to heap|moved to heap).*)$`)
	function    = regexp.MustCompile(`^(\S+) STEXT`)
	instruction = regexp.MustCompile(`^\t0x[0-9a-f]+ \d+ \(([^)]*)\)\t(\S+)(?:\t(.*))?$`)
	vector      = regexp.MustCompile(`(?:^|[ ,(*])([XYZ][0-9]+)\b`)
	runtimeName = regexp.MustCompile(`\bruntime\.\w+`)
)

// Check fails t with every rule of the lower half that the package in the test's own folder breaks.
func Check(t *testing.T) {
	t.Helper()
	if testing.CoverMode() != "" {
		t.Skip("coverage counters change the code")
	}
	found, err := Violations(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range found {
		t.Error(v)
	}
}

// Violations compiles the package in dir (its tests apart) and returns one line for each broken rule, with its place.
func Violations(dir string) ([]string, error) {
	out, err := run(dir, "list", "-f", `{{.ImportPath}}{{range .Imports}} {{.}}{{end}}`, ".")
	if err != nil {
		return nil, err
	}
	names := strings.Fields(out)
	var found []string
	for _, name := range names[1:] {
		if !imports[name] && !strings.HasPrefix(name, module) {
			found = append(found, fmt.Sprintf("%s imports %s, which is not proven for the lower half", names[0], name))
		}
	}
	listing, err := run(dir, "build", "-gcflags=-S -m=1", "-o", os.DevNull, ".")
	if err != nil {
		return nil, err
	}
	if !strings.Contains(listing, "STEXT") {
		return nil, fmt.Errorf("lowercheck: %s: go build -gcflags=-S printed no code: is the package empty?", dir)
	}
	return append(found, scan(listing)...), nil
}

func run(dir string, args ...string) (string, error) {
	cmd := exec.Command("go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOOS=linux", "GOARCH=amd64", "GOFLAGS=", "CGO_ENABLED=0")
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("lowercheck: go %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return string(out), nil
}

// scan judges the compiler's listing: escape notes and instructions.
func scan(listing string) []string {
	var found []string
	where := ""
	for line := range strings.Lines(listing) {
		line = strings.TrimRight(line, "\n")
		if m := function.FindStringSubmatch(line); m != nil {
			where = m[1]
			continue
		}
		if m := escape.FindStringSubmatch(line); m != nil {
			found = append(found, m[1]+": "+m[2])
			continue
		}
		m := instruction.FindStringSubmatch(line)
		if m == nil || strings.HasPrefix(where, "type:.") {
			continue // type:.eq and type:.hash are made for every type, and linked only if called
		}
		if why := judge(m[2], m[3]); why != "" {
			found = append(found, fmt.Sprintf("%s: %s: %s: %s %s", m[1], where, why, m[2], m[3]))
		}
	}
	return found
}

// judge returns what is wrong with one instruction, or nothing.
func judge(op, args string) string {
	switch op {
	case "TEXT", "FUNCDATA", "PCDATA", "NOP":
		return ""
	case "CALL", "JMP":
		if !strings.HasSuffix(args, "(SB)") {
			if op == "JMP" {
				return "" // a branch inside the function, perhaps by the jump table of a switch
			}
			return "calls through a register"
		}
		if strings.HasPrefix(args, module) || panics.MatchString(args) {
			return ""
		}
		return "calls outside the lower half"
	}
	for _, m := range vector.FindAllStringSubmatch(args, -1) {
		if m[1] != "X14" && m[1] != "X15" {
			return "touches a vector register"
		}
		if op != "MOVUPS" && op != "MOVUPD" && op != "XORPS" {
			return "touches a vector register other than by a plain move"
		}
	}
	if strings.HasPrefix(op, "V") {
		return "is an AVX instruction"
	}
	if strings.HasPrefix(op, "DUFF") {
		return "calls the runtime's vector clear or copy"
	}
	if runtimeName.MatchString(args) {
		return "reaches into the runtime"
	}
	return ""
}
