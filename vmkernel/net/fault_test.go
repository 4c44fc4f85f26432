package net

import (
	"strings"
	"testing"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// TestAFaultInTheNetworkEndsNothingElse has what strangers' frames run through panic: each is told of, and the network goes on.
func TestAFaultInTheNetworkEndsNothingElse(t *testing.T) {
	a, _ := cable(false)
	told := make(chan string, 1)
	s, err := New(a, Config{Name: "test"}, Events{Warning: func(err error) {
		if strings.Contains(err.Error(), "fault") {
			told <- err.Error()
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	expect := func(where string) {
		t.Helper()
		select {
		case got := <-told:
			if !strings.Contains(got, "in "+where+": ") || !strings.Contains(got, "fault_test.go") {
				t.Errorf("%s", got)
			}
		case <-time.After(20 * time.Second):
			t.Errorf("a fault in %s is not told of", where)
		}
	}
	if err := s.wait(func() error { panic("bent") }); err == nil {
		t.Error("who waited for what has failed is told that it is done")
	}
	expect("the network")
	s.link.Attach(struct{ stack.NetworkDispatcher }{}) // nil: a call panics
	s.link.port.Load().Receive([]byte{0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 2, 0, 0, 0, 0, 2, 8, 6}, false)
	expect("a frame")
	if err := s.wait(func() error { return nil }); err != nil {
		t.Error(err)
	}
}
