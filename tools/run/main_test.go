package main

import (
	"strings"
	"testing"
)

func TestJudge(t *testing.T) {
	const (
		ready   = `level=INFO msg=ready cpus=2`
		started = `level=INFO msg="vm started" vm=demo`
	)
	for _, c := range []struct{ name, log, want string }{
		{"good", ready + "\n" + started + "\ndemo| level=ERROR msg=no", ""},
		{"with times", "time=2026-01-01T00:00:00Z " + started, ""},
		{"nothing started", ready, "started no VM"},
		{"a guest says so", ready + "\ndemo| " + started, "started no VM"},
		{"error", started + "\nlevel=ERROR msg=bad", "msg=bad"},
		{"nothing said", "", "started no VM"},
	} {
		err := judge(strings.Split(c.log, "\n"))
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", c.name, err, c.want)
		}
	}
}

func TestChooseRefusesUnknownEmulators(t *testing.T) {
	if m, err := choose(t.Context(), options{emulator: "vmware"}, ""); err == nil {
		t.Errorf("got %v", m)
	}
}
