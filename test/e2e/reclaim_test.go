package e2e

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"keel/test/machine"
	"keel/vmkernel/api"
	"keel/vmkernel/api/client"
	"keel/vmkernel/seed"
)

var notStarted = regexp.MustCompile(`^level=ERROR msg="vm not started" vm=greedy error="(.*)"$`)

// What VM many can't go under, and never holds more than.
const manyReserves, manyLimit = 96 * mib, 240 * mib

// TestMemoryGoesWhereSharesAndUseSay has two stock Linux guests want more memory than there is: they get as much by the same
// shares; what one leaves idle goes to the other; four times the shares bring it back and more; and all that its limit allows is
// there for it once the other has ended. Meanwhile its reservation and limit hold.
// All that comes to a guest is zero, and stays what it wrote: the workload looks.
// A VM that others can't give enough back for is refused, with the numbers.
func TestMemoryGoesWhereSharesAndUseSay(t *testing.T) {
	ops := newOperators(t, "ops", time.Now().Add(-time.Hour))
	guest := func(name string) seed.VM {
		v := linux(name, 1, 256*mib, "workload.only=yield workload.wait=10m")
		v.Boot.Direct.Initrd, v.Memory.Shares = fileBalloon, 1000
		return v
	}
	generous := guest("many")
	generous.Memory.Reservation, generous.Memory.Limit = manyReserves, manyLimit
	greedy := metal("greedy", "x")
	greedy.Memory.Size, greedy.Autostart.Enabled = 600*mib, false
	path := ops.trusting(t, func(s *seed.Host) { s.Log.Level = "debug" },
		[]seed.VM{guest("few"), generous, greedy}, files(t, fileLinux, fileBalloon, fileMB))
	n, address := network(t, "virtio-net-pci,disable-legacy=on", 443)
	r := run{machine.Boot(t, machine.QEMU{Kernel: image(t), Seed: path, Network: n, CPUs: 2, MemMiB: 416}, 10*time.Minute), t}
	h := &policyHost{r, patient(t), dial(t, address, r.door(), ops.admin())}

	// Their balloons fill before they use anything, since they may want more together than there is.
	h.until("asked of both", func(few, many *api.VMStats) bool { return few.Balloon > 64*mib && many.Balloon > 32*mib })
	h.tell("few", "busy")
	h.tell("many", "busy")
	h.until("divided", func(few, many *api.VMStats) bool {
		return few.Resident+many.Resident > 190*mib && max(few.Resident, many.Resident) < 3*min(few.Resident, many.Resident)/2
	})
	h.tell("many", "idle") // an idle page costs four times what one in use does
	h.until("from the idle to the busy", func(few, many *api.VMStats) bool {
		return few.Target > many.Target+16*mib && few.Resident > many.Resident+24*mib
	})
	h.tell("many", "busy")
	h.change("many", func(v *seed.VM) { v.Memory.Shares = 4000 })
	h.until("given by shares", func(few, many *api.VMStats) bool {
		return many.Target > few.Target+16*mib && many.Resident > few.Resident+24*mib
	})
	_, err := h.conn.Call(h.ctx, client.Request{Method: "POST", Path: client.Path("vms", "greedy", "start"), Query: url.Values{"wait": {"60s"}}}, nil)
	var refused *api.Error
	if want := "memory of 600MiB is more than the "; !errors.As(err, &refused) || !strings.Contains(refused.Message, want) ||
		!strings.Contains(refused.Message, "MiB that the host has left and other VMs can give back") {
		t.Errorf("what can't be reclaimed is refused by %v, want %q", err, want)
	}

	h.tell("few", "end")
	h.until("to who wants it", func(_, many *api.VMStats) bool { return many.Resident > 210*mib })

	h.tell("many", "end")
	if _, err := r.WaitFor(h.ctx, regexp.MustCompile(`msg="vm stopped" vm=many `)); err != nil {
		t.Fatal(err)
	}
	r.wantReasons(map[string]string{"few": "power-off", "many": "power-off"})
	for _, name := range []string{"few", "many"} {
		r.wantWorkload(name, 1)
	}
	for _, l := range r.Lines() {
		if errorLine.MatchString(l) && !notStarted.MatchString(l) {
			t.Errorf("the host said %s", l)
		}
	}
}

// tell types a word on a guest's console and waits until it has been heard.
func (h *policyHost) tell(vm, word string) {
	c := openConsole(h.t, h.ctx, h.conn, vm)
	c.send(word + "\r")
	c.expect("yield is told " + word)
	c.socket.CloseNow()
}

// until waits until the guests' memory is as it should be.
func (h *policyHost) until(what string, is func(few, many *api.VMStats) bool) {
	h.t.Helper()
	began := time.Now()
	for {
		text, s := "", [2]api.VMStats{}
		for i, name := range []string{"few", "many"} {
			if err := h.conn.Get(h.ctx, client.Path("vms", name, "stats"), nil, &s[i]); err != nil {
				h.t.Fatalf("%s: %v", what, err)
			}
			active := uint64(0) // of what nobody has looked at yet
			if s[i].Active != nil {
				active = *s[i].Active
			}
			text += fmt.Sprintf("; %s has %d MiB of %d, active %d, and %d in its balloon", name, s[i].Resident/mib, s[i].Target/mib, active/mib, s[i].Balloon/mib)
		}
		if m := &s[1]; m.Target != 0 && m.Target < manyReserves || m.Granted > manyLimit {
			h.t.Errorf("%s: many has reserved %d MiB and is limited to %d%s", what, manyReserves/mib, manyLimit/mib, text)
		}
		if is(&s[0], &s[1]) {
			h.t.Logf("%s after %v%s", what, time.Since(began).Round(time.Second), text)
			return
		}
		if time.Since(began) > 2*time.Minute {
			h.t.Fatalf("not %s after two minutes%s", what, text)
		}
		time.Sleep(500 * time.Millisecond)
	}
}
