package sim

import (
	"bytes"
	"strings"
	"testing"
)

// TestChurn: nothing is lost, whatever is done to a machine in whatever order: ten million things to one of them.
func TestChurn(t *testing.T) {
	events, long := 150_000, 10_000_000
	if testing.Short() {
		events, long = 15_000, 15_000
	}
	if _, err := Churn(6, 8, 100, long, 1000, nil); err != nil {
		t.Errorf("the long run: %v", err)
	}
	for _, x := range []struct {
		seed         uint64
		cpus, worlds int
	}{{1, 1, 20}, {2, 4, 60}, {3, 16, 40}, {4, 3, 200}, {5, 70, 100}} {
		if _, err := Churn(x.seed, x.cpus, x.worlds, events, 100, nil); err != nil {
			t.Errorf("%d processors, %d worlds: %v", x.cpus, x.worlds, err)
		}
	}
}

// TestReplay: a recorded trace replays to the same decisions, and a changed one is told apart.
func TestReplay(t *testing.T) {
	var trace bytes.Buffer
	if _, err := Churn(9, 3, 40, 3000, 500, &trace); err != nil {
		t.Fatal(err)
	}
	text := trace.String()
	calls, err := Replay(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	if lines := strings.Count(text, "\n") - 1; calls != lines {
		t.Errorf("%d calls replayed of %d", calls, lines)
	}
	i := strings.LastIndex(text, "\nP ") + 1
	j := i + strings.Index(text[i:], "= ") + 2
	if _, err := Replay(strings.NewReader(text[:j] + "7" + text[j:])); err == nil {
		t.Error("a trace with another decision in it was replayed")
	}
}
