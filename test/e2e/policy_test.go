package e2e

import (
	"context"
	"strings"
	"testing"
	"time"

	"keel/test/guest/wake"
	"keel/test/machine"
	"keel/vmkernel/api"
	"keel/vmkernel/api/client"
	"keel/vmkernel/seed"
)

// fileSpin is a kernel that keeps its processor busy.
const fileSpin = "spin.multiboot"

// policyHost is a host of two processors under QEMU with three VMs that saturate the second one, and what its door says.
type policyHost struct {
	run
	ctx  context.Context
	conn *client.Conn
}

// TestPolicyIsObeyedAndChangesWhileVMsRun: pools and all keys of cpu and memory in a seed, then changes over the API of VMs
// that run on. Parts are of the host's own accounts, and asserted generously: the machine's clock is the wall's.
func TestPolicyIsObeyedAndChangesWhileVMsRun(t *testing.T) {
	h := bootPolicy(t)
	want := "VM greedy: reservation: 120%: 90% of 150% are left (2 processors, 50% for the system, 60% reserved by others)"
	said := false
	for _, l := range h.Lines() {
		if errorLine.MatchString(l) {
			said = strings.Contains(l, want)
			t.Log(l)
		}
	}
	if !said {
		t.Errorf("nothing is refused by %q", want)
	}

	// Shares: of pools 3 : 1, and in the first 1 : 2.
	h.wantParts(map[string]float64{"a": .25, "b": .5, "c": .25}, 0.4)
	h.wantOn(map[string]int{"a": 1, "b": 1, "c": 1})

	// A pool's shares, while what is in it runs: 1 : 3.
	h.setPool("db", func(p *api.PoolPolicy) { p.CPU.Shares = 9000 })
	h.wantParts(map[string]float64{"a": .25 / 3, "b": .5 / 3, "c": .75}, 0.4)

	// A VM that moves to the other pool has its shares there: 1 : 2 : 3.
	h.change("c", func(c *seed.VM) { c.CPU.Pool, c.CPU.Shares = "web", 3000 })
	h.wantParts(map[string]float64{"a": 1. / 6, "b": 2. / 6, "c": 3. / 6}, 0.4)

	h.change("a", func(a *seed.VM) { a.CPU.Limit, a.CPU.Reservation = 50, 0 })
	if got := h.parts()["a"]; got > 0.07 {
		t.Errorf("a has a limit of 5 %% and used %.1f %% of a processor", 100*got)
	}
	h.change("a", func(a *seed.VM) { a.CPU.Limit, a.CPU.Reservation = 0, 600 })
	if got := h.parts()["a"]; got < 0.4 { // the emulator takes some of it for switches
		t.Errorf("a has reserved 60 %% and used %.1f %% of a processor", 100*got)
	}
}

// bootPolicy starts it.
func bootPolicy(t *testing.T) *policyHost {
	ops := newOperators(t, "ops", time.Now().Add(-time.Hour))
	spin := func(name, pool string, shares uint32) seed.VM {
		v := vm(name, 1, 16*mib, seed.Direct{Kernel: fileSpin})
		v.CPU.Shares, v.CPU.Pool, v.CPU.Affinity = shares, pool, []int{1}
		v.Memory.Pool, v.Memory.Shares, v.Memory.Reservation, v.Memory.Limit = pool, 160, 2*mib, 16*mib
		return v
	}
	a, b, c, greedy := spin("a", "web", 1000), spin("b", "web", 2000), spin("c", "db", 1000), spin("greedy", "", 1000)
	a.Memory.Reservation, a.CPU.Reservation, c.Memory.Limit = 8*mib, 100, 4*mib
	greedy.CPU.Count, greedy.CPU.Affinity, greedy.CPU.Reservation, greedy.Autostart.Order = 2, nil, 1200, 9
	path := ops.trusting(t, func(s *seed.Host) {
		s.Pools = []seed.Pool{
			{Name: "web", CPU: seed.Share{Shares: 3000, Reservation: 600, Limit: 2000}, Memory: seed.Share{Shares: 100, Reservation: 16 * mib}},
			{Name: "db", CPU: seed.Share{Shares: 1000}, Memory: seed.Share{Shares: 100, Reservation: 4 * mib, Limit: 6 * mib}},
		}
	}, []seed.VM{a, b, c, greedy}, map[string][]byte{fileSpin: wake.Spin()})
	n, address := network(t, "virtio-net-pci,disable-legacy=on", 443)
	r := run{machine.Boot(t, machine.QEMU{Kernel: image(t), Seed: path, Network: n, CPUs: 2, MemMiB: 512}, 6*time.Minute), t}
	key := r.door()
	return &policyHost{r, patient(t), dial(t, address, key, ops.admin())}
}

// setPool changes a pool.
func (h *policyHost) setPool(name string, change func(*api.PoolPolicy)) {
	h.t.Helper()
	var p, now api.Pool
	path := client.Path("pools", name)
	header, err := h.conn.Call(h.ctx, client.Request{Method: "GET", Path: path}, &p)
	if err != nil {
		h.t.Fatal(err)
	}
	to := api.PoolPolicy{CPU: p.CPU, Memory: p.Memory}
	change(&to)
	if _, err = h.conn.Call(h.ctx, client.Request{Method: "PUT", Path: path, In: to, Match: header.Get("ETag")}, &now); err != nil || now.CPU != to.CPU {
		h.t.Errorf("pool %s: %v, %+v", name, err, now)
	}
}

// change changes a VM, which runs on.
func (h *policyHost) change(name string, change func(*seed.VM)) {
	h.t.Helper()
	var v api.VM
	path := client.Path("vms", name)
	header, err := h.conn.Call(h.ctx, client.Request{Method: "GET", Path: path}, &v)
	if err != nil {
		h.t.Fatal(err)
	}
	change(&v.Spec)
	if _, err = h.conn.Call(h.ctx, client.Request{Method: "PUT", Path: path, In: v.Spec, Match: header.Get("ETag")}, &v); err != nil {
		h.t.Errorf("%s: %v", name, err)
	}
	if v.State != api.Running {
		h.t.Errorf("%s is %s", name, v.State)
	}
}

// parts is what each VM has of a processor for some seconds.
func (h *policyHost) parts() map[string]float64 {
	h.t.Helper()
	look := func() (s [3]api.VMStats) {
		for i, name := range []string{"a", "b", "c"} {
			if err := h.conn.Get(h.ctx, client.Path("vms", name, "stats"), nil, &s[i]); err != nil {
				h.t.Fatal(err)
			}
		}
		return s
	}
	before := look()
	time.Sleep(5 * time.Second)
	after := look()
	parts := map[string]float64{}
	for i, name := range []string{"a", "b", "c"} {
		x, y := before[i], after[i]
		parts[name] = float64(y.Used-x.Used) / float64(y.Used+y.Stolen+y.Blocked-x.Used-x.Stolen-x.Blocked)
	}
	h.t.Logf("parts of a processor: a %.3f, b %.3f, c %.3f", parts["a"], parts["b"], parts["c"])
	return parts
}

// wantParts compares the VMs' parts of what they had together, up to a part of each.
func (h *policyHost) wantParts(want map[string]float64, most float64) {
	h.t.Helper()
	got, sum := h.parts(), 0.0
	for _, x := range got {
		sum += x
	}
	for name, x := range want {
		if y := got[name] / sum; y < x*(1-most) || y > x*(1+most) {
			h.t.Errorf("%s had %.1f %% of what they had, its part is %.1f %%", name, 100*y, 100*x)
		}
	}
}

// wantOn is where the VMs' virtual processors run.
func (h *policyHost) wantOn(want map[string]int) {
	h.t.Helper()
	var all api.Worlds
	if err := h.conn.Get(h.ctx, client.Path("worlds"), nil, &all); err != nil {
		h.t.Fatal(err)
	}
	seen := 0
	for _, w := range all.Worlds {
		if cpu, is := want[w.VM]; is && w.Kind == "vcpu" {
			if seen++; w.CPU != cpu {
				h.t.Errorf("%s runs on processor %d, not %d", w.VM, w.CPU, cpu)
			}
		}
	}
	if seen != len(want) {
		h.t.Errorf("%d virtual processors, want %d", seen, len(want))
	}
}
