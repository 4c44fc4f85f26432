package e2e

import (
	"context"
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

// What VM many can't go under, and never holds more than.
const manyReserves, manyLimit = 96 * mib, 240 * mib

// reclaimHost is a host of less memory than its two VMs, few and many, are sized for, by their shares.
type reclaimHost struct {
	t    *testing.T
	ctx  context.Context
	conn *client.Conn
}

// TestMemoryGoesWhereSharesAndUseSay has two stock Linux guests, of which one has twice the shares, want more memory than there
// is: what they hold follows their shares; then use, once the one that holds more leaves it idle; and it is there again for who
// wants it, once the other has ended. Meanwhile the second's reservation and limit hold.
// All that comes to a guest is zero, and stays what it wrote: the workload looks.
// A VM that others can't give enough back for is refused, with the numbers.
func TestMemoryGoesWhereSharesAndUseSay(t *testing.T) {
	ops := newOperators(t, "ops", time.Now().Add(-time.Hour))
	guest := func(name string, shares uint32) seed.VM {
		v := linux(name, 1, 256*mib, "workload.only=yield workload.typed workload.wait=5m")
		v.Boot.Direct.Initrd, v.Memory.Shares = fileBalloon, shares
		return v
	}
	generous := guest("many", 2000)
	generous.Memory.Reservation, generous.Memory.Limit = manyReserves, manyLimit
	greedy := metal("greedy", "x")
	greedy.Memory.Size, greedy.Autostart.Enabled = 600*mib, false
	path := ops.trusting(t, func(s *seed.Host) { s.Log.Level = "debug" },
		[]seed.VM{guest("few", 1000), generous, greedy}, files(t, fileLinux, fileBalloon, fileMB))
	n, address := network(t, "virtio-net-pci,disable-legacy=on", 443)
	r := run{machine.Boot(t, machine.QEMU{Kernel: image(t), Seed: path, Network: n, CPUs: 2, MemMiB: 416}, 5*time.Minute), t}
	h := &reclaimHost{t, patient(t), dial(t, address, r.door(), ops.admin())}

	// Their balloons fill before they use anything, since they may want more together than there is.
	h.until("asked of both", func(few, many *api.VMStats) bool { return few.Balloon > 64*mib && many.Balloon > 32*mib })
	h.tell("few", "busy")
	h.tell("many", "busy")
	h.until("given by shares", func(few, many *api.VMStats) bool { return 10*many.Resident > 18*few.Resident })
	_, err := h.conn.Call(h.ctx, client.Request{Method: "POST", Path: client.Path("vms", "greedy", "start"), Query: url.Values{"wait": {"60s"}}}, nil)
	var refused *api.Error
	if want := "memory of 600MiB is more than the "; !errors.As(err, &refused) || !strings.Contains(refused.Message, want) ||
		!strings.Contains(refused.Message, "MiB that the host has left and other VMs can give back") {
		t.Errorf("what can't be reclaimed is refused by %v, want %q", err, want)
	}

	h.tell("many", "idle")
	// An idle page costs four times what one in use does, so that twice the shares hold less than one and a half times as much.
	h.until("from the idle to the busy", func(few, many *api.VMStats) bool { return 10*many.Resident < 15*few.Resident })

	h.tell("few", "end")
	h.tell("many", "busy")
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
func (h *reclaimHost) tell(vm, word string) {
	c := openConsole(h.t, h.ctx, h.conn, vm)
	c.send(word + "\r")
	c.expect("yield is told " + word)
	c.socket.CloseNow()
}

// until waits until the guests' memory is as it should be.
func (h *reclaimHost) until(what string, is func(few, many *api.VMStats) bool) {
	h.t.Helper()
	began := time.Now()
	for {
		text, s := "", [2]api.VMStats{}
		for i, name := range []string{"few", "many"} {
			if err := h.conn.Get(h.ctx, client.Path("vms", name, "stats"), nil, &s[i]); err != nil {
				h.t.Fatalf("%s: %v", what, err)
			}
			text += fmt.Sprintf("; %s has %d MiB of %d, active %d, and %d in its balloon", name, s[i].Resident/mib, s[i].Target/mib, s[i].Active/mib, s[i].Balloon/mib)
		}
		if m := &s[1]; m.Target != 0 && m.Target < manyReserves || m.Granted > manyLimit {
			h.t.Errorf("%s: many has reserved %d MiB and is limited to %d%s", what, manyReserves/mib, manyLimit/mib, text)
		}
		if is(&s[0], &s[1]) {
			h.t.Logf("%s after %v%s", what, time.Since(began).Round(time.Second), text)
			return
		}
		if time.Since(began) > time.Minute {
			h.t.Fatalf("not %s after a minute%s", what, text)
		}
		time.Sleep(500 * time.Millisecond)
	}
}
