package lowercheck

import (
	"strings"
	"testing"
)

// Each function of testdata/bad breaks one rule; a checker that lets one pass proves nothing.
func TestEveryBrokenRuleIsFound(t *testing.T) {
	found, err := Violations("testdata/bad")
	if err != nil {
		t.Fatal(err)
	}
	all := strings.Join(found, "\n")
	for _, want := range []string{
		"imports strconv", "moved to heap: x", "bad.Barrier", "bad.Float", "bad.Clear", "bad.Copy", "bad.Equal", "bad.Closure", "bad.Outside",
	} {
		if !strings.Contains(all, want) {
			t.Errorf("nothing found for %q in:\n%s", want, all)
		}
	}
}

func TestJudge(t *testing.T) {
	for _, c := range []struct {
		op, args string
		bad      bool
	}{
		{"MOVUPS", "X15, 8(SP)", false},
		{"MOVUPS", "X14, (AX)(CX*8)", false},
		{"XORPS", "X15, X15", false},
		{"MOVUPS", "X0, 8(SP)", true},
		{"MOVSD", "X15, 8(SP)", true},
		{"VMOVDQU", "(AX), Y1", true},
		{"VZEROUPPER", "", true},
		{"CALL", "runtime.panicIndex(SB)", false},
		{"CALL", "runtime.panicdivide(SB)", false},
		{"CALL", "runtime.panicoverflow(SB)", false},
		{"CALL", "runtime.morestack_noctxt(SB)", false},
		{"CALL", "runtime.memmove(SB)", true},
		{"CALL", "runtime.gcWriteBarrier1(SB)", true},
		{"CALL", "keel/vmkernel/device/lapic.(*APIC).Reset(SB)", false},
		{"CALL", "fmt.Println(SB)", true},
		{"CALL", "AX", true},
		{"CALL", "(DX)", true},
		{"JMP", "112", false},
		{"JMP", "(AX)(CX*8)", false},
		{"JMP", "runtime.memmove(SB)", true},
		{"DUFFZERO", "$240", true},
		{"CMPL", "runtime.writeBarrier(SB), $0", true},
		{"MOVQ", "AX, X0", true},
		{"LOCK", "", false},
		{"ORL", "CX, keel/x.X0(SB)", false},
	} {
		if got := judge(c.op, c.args); (got != "") != c.bad {
			t.Errorf("judge(%s %s) = %q", c.op, c.args, got)
		}
	}
}
