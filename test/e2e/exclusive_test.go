package e2e

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"keel/test/guest/wake"
	"keel/test/machine"
	"keel/vmkernel/api"
	"keel/vmkernel/api/client"
	"keel/vmkernel/seed"
)

// TestVMsHaveProcessorsForThemselves gives all processors but the host's to VMs, one each, beside a VM that wants all it can get and
// a door that is kept busy; with four, those are all of a second NUMA node's among them. Nobody else is on them, their VMs wait for
// nothing, the door answers, and what a VM gives back or leaves others may have.
func TestVMsHaveProcessorsForThemselves(t *testing.T) {
	for _, cpus := range []int{2, 4} {
		t.Run(fmt.Sprintf("%d processors", cpus), func(t *testing.T) {
			h := bootExclusive(t, cpus)
			h.wantExclusive(cpus - 1)
			h.wantAlone(cpus)

			h.change("busy", "can be had", func(v *seed.VM) { v.CPU.Exclusive = true })
			h.change("busy", "processor 0 takes the host's interrupts", func(v *seed.VM) { v.CPU.Exclusive, v.CPU.Affinity = true, []int{0} })
			h.change("busy", "busy may run on processor 1 only, which others are to have for themselves", func(v *seed.VM) { v.CPU.Affinity = []int{1} })

			h.change("own1", "", func(v *seed.VM) { v.CPU.Exclusive = false })
			h.wantExclusive(cpus - 2)
			h.change("own1", "", func(v *seed.VM) { v.CPU.Exclusive = true })
			h.wantExclusive(cpus - 1)
			h.wantAlone(cpus)

			for i := 1; i < cpus; i++ {
				h.post("own"+fmt.Sprint(i), "kill")
			}
			h.wantExclusive(0)
			h.change("busy", "", func(v *seed.VM) { v.CPU.Affinity = []int{cpus - 1} })
			if used := h.used(3 * time.Second)["busy"]; used < 0.3 {
				t.Errorf("busy may run where a VM had a processor for itself, and had %.2f of it", used)
			}
			h.change("busy", "", func(v *seed.VM) { v.CPU.Affinity = nil })
			h.post("own1", "start")
			h.wantExclusive(1)
			h.wantNoErrors()
		})
	}
}

// fileRelax is a kernel that keeps its processor busy and executes PAUSE all the time.
const fileRelax = "relax.multiboot"

// exclusiveHost is a host under QEMU with VMs own1, own2, …, each with a processor for itself, and busy. None of them ever stops.
//
// The guests execute PAUSE, at which QEMU has another processor's turn come: it emulates them one after another, each until it
// halts, pauses or is interrupted, or for 100 ms. A processor that is a spinning guest's alone is never interrupted, and the others
// are all the time, so that they would have next to nothing: each interrupt of theirs would cost them 100 ms.
type exclusiveHost struct {
	run
	ctx  context.Context
	conn *client.Conn
}

func bootExclusive(t *testing.T, cpus int) *exclusiveHost {
	ops := newOperators(t, "ops", time.Now().Add(-time.Hour))
	spin := func(name string) seed.VM { return vm(name, 1, 16*mib, seed.Direct{Kernel: fileRelax}) }
	vms := []seed.VM{spin("busy")}
	for i := 1; i < cpus; i++ {
		v := spin(fmt.Sprintf("own%d", i))
		v.CPU.Exclusive = true
		vms = append(vms, v)
	}
	path := ops.trusting(t, nil, vms, map[string][]byte{fileRelax: wake.Relax()})
	n, address := network(t, "virtio-net-pci,disable-legacy=on", 443)
	m := machine.QEMU{Kernel: image(t), Seed: path, Network: n, CPUs: cpus, MemMiB: 512}
	if cpus > 2 {
		m.MemMiB, m.Extra = 768, twoNodes(cpus)
	}
	r := run{machine.Boot(t, m, 6*time.Minute), t}
	key := r.door()
	return &exclusiveHost{r, patient(t), dial(t, address, key, ops.admin())}
}

// call has the host do something, and says how long that took where it is long.
func (h *exclusiveHost) call(method, path string, in, out any, match string) (string, error) {
	h.t.Helper()
	began := time.Now()
	header, err := h.conn.Call(h.ctx, client.Request{Method: method, Path: path, In: in, Match: match}, out)
	if took := time.Since(began); took > time.Second {
		h.t.Logf("%s %s took %v", method, path, took.Round(time.Millisecond))
	}
	if err != nil {
		return "", err
	}
	return header.Get("ETag"), nil
}

func (h *exclusiveHost) get(out any, path ...string) string {
	h.t.Helper()
	tag, err := h.call("GET", client.Path(path...), nil, out, "")
	if err != nil {
		h.t.Fatal(err)
	}
	return tag
}

func (h *exclusiveHost) post(name, what string) {
	h.t.Helper()
	if _, err := h.call("POST", client.Path("vms", name, what), nil, nil, ""); err != nil {
		h.t.Fatal(err)
	}
}

// change changes a VM that runs, or is refused with a text.
func (h *exclusiveHost) change(name, refused string, change func(*seed.VM)) {
	h.t.Helper()
	var v api.VM
	tag := h.get(&v, "vms", name)
	change(&v.Spec)
	_, err := h.call("PUT", client.Path("vms", name), v.Spec, &v, tag)
	if refused == "" && err != nil || refused != "" && (err == nil || !strings.Contains(err.Error(), refused)) {
		h.t.Errorf("%s: %v, want it refused with %q", name, err, refused)
	}
}

// wantExclusive is how many processors VMs have for themselves, by the host and by the VMs, which have to agree.
func (h *exclusiveHost) wantExclusive(n int) {
	h.t.Helper()
	var host api.Host
	h.get(&host, "host")
	given := host.Resources.Exclusive
	if len(given) != n {
		h.t.Errorf("VMs have processors for themselves: %v, want %d", given, n)
	}
	for _, e := range given {
		var v api.VM
		if h.get(&v, "vms", e.VM); len(v.Alone) != 1 || v.Alone[0] != e.CPU {
			h.t.Errorf("%s has %v for itself, by the host %d", e.VM, v.Alone, e.CPU)
		}
	}
}

// wantAlone has the door kept busy for some seconds, in which nobody but its VM is on a processor other than the first, and those
// VMs have waited for nothing.
func (h *exclusiveHost) wantAlone(cpus int) {
	h.t.Helper()
	stop, done := context.WithTimeout(h.ctx, 5*time.Second)
	defer done()
	var flood sync.WaitGroup
	calls := 0
	var before, after api.Worlds
	h.get(&before, "worlds")
	flood.Go(func() {
		for stop.Err() == nil {
			var host api.Host
			h.get(&host, "host")
			calls++
		}
	})
	flood.Wait()
	h.get(&after, "worlds")
	span := float64(after.At - before.At)
	old := map[uint64]api.World{}
	for _, w := range before.Worlds {
		old[w.ID] = w
	}
	seen := 0
	for _, w := range after.Worlds {
		was, own := old[w.ID], strings.HasPrefix(w.VM, "own")
		switch {
		case own:
			seen++
			if w.Stolen != was.Stolen || w.Ready != was.Ready {
				h.t.Errorf("%s has a processor for itself and waited %v for it", w.VM, time.Duration(w.Stolen-was.Stolen))
			}
			if part := float64(w.Used-was.Used) / span; part < 0.95 {
				h.t.Errorf("%s has a processor for itself and used %.3f of one", w.VM, part)
			}
		case w.CPU != 0 && w.Used != was.Used:
			h.t.Errorf("%s %d %s was on processor %d, and had %v", w.Kind, w.ID, w.VM, w.CPU, time.Duration(w.Used-was.Used))
		}
	}
	if seen != cpus-1 {
		h.t.Errorf("%d virtual processors of such VMs, want %d", seen, cpus-1)
	}
	h.t.Logf("%d calls were answered", calls)
}

// used is what each VM used of a processor for some time.
func (h *exclusiveHost) used(d time.Duration) map[string]float64 {
	h.t.Helper()
	var before, after api.Worlds
	h.get(&before, "worlds")
	time.Sleep(d)
	h.get(&after, "worlds")
	used := map[string]float64{}
	for _, w := range after.Worlds {
		used[w.VM] += float64(w.Used)
	}
	for _, w := range before.Worlds {
		used[w.VM] -= float64(w.Used)
	}
	for name := range used {
		used[name] /= float64(after.At - before.At)
	}
	return used
}
