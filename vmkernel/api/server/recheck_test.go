package server

import "testing"

func TestALoopWithAFaultBeginsAnew(t *testing.T) {
	r := newRig(t)
	runs := 0
	r.server.kept("a part", func() {
		if runs++; runs == 1 {
			panic("bent")
		}
	})
	if runs != 2 {
		t.Errorf("it ran %d times", runs)
	}
}
