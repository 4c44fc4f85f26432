package main

import (
	"encoding/json"
	"strings"
	"testing"

	"keel/vmkernel/api"
	"keel/vmkernel/seed"
)

func TestPoolsAreShownAndChanged(t *testing.T) {
	s, r := managed(t, rigOptions{})
	if out := s.must(t, "pool", "list").out; !strings.Contains(out, "has no pools") {
		t.Errorf("%s", out)
	}
	r.VMs.AddPools(seed.Pool{Name: "web", CPU: seed.Share{Shares: 3000, Reservation: 500}, Memory: seed.Share{Shares: 7, Limit: 64 << 20}},
		seed.Pool{Name: "in", Parent: "web", CPU: seed.Share{Shares: 1}, Memory: seed.Share{Shares: 1}})
	out := s.must(t, "pool", "list").out
	for _, want := range []string{"3000 shares, 50% reserved", "7 shares, at most 64MiB", "in    web"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	if out := s.must(t, "pool", "show", "web").out; !strings.Contains(out, "3000 shares, 50% reserved") || !strings.Contains(out, "12MiB") {
		t.Errorf("%s", out)
	}
	var p api.Pool
	got := s.must(t, "pool", "set", "web", "--cpu-limit", "150%", "--memory-limit", "none", "--memory-reservation", "8MiB", "-o", "json")
	if err := json.Unmarshal([]byte(got.out), &p); err != nil || p.CPU != (seed.Share{Shares: 3000, Reservation: 500, Limit: 1500}) || p.Memory != (seed.Share{Shares: 7, Reservation: 8 << 20}) {
		t.Errorf("%v %+v", err, p)
	}
	if !strings.Contains(got.errout, "until the host restarts") {
		t.Errorf("it isn't said how long it holds: %s", got.errout)
	}
	for _, c := range []struct {
		code int
		want string
		args []string
	}{
		{2, "nothing to change", []string{"web"}},
		{2, "--cpu-shares: 0 is below", []string{"web", "--cpu-shares", "0"}},
		{2, `"half" is not a percentage`, []string{"web", "--cpu-reservation", "half"}},
		{2, "write a whole number of KiB, MiB or GiB", []string{"web", "--memory-limit", "1TB"}},
		{2, "give none for no limit", []string{"web", "--cpu-limit", "0%"}},
		{3, "there is no pool \"db\"", []string{"db", "--cpu-shares", "1"}},
	} {
		s.fails(t, c.code, c.want, append([]string{"pool", "set"}, c.args...)...)
	}
	refused := s.run("pool", "set", "web", "--cpu-reservation", "410%", "--cpu-limit", "none")
	if refused.code == 0 || !strings.Contains(refused.errout, "reservation: 410%: the machine has 4 processors: 400%") {
		t.Errorf("%+v", refused)
	}
}
