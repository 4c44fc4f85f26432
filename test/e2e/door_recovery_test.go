package e2e

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"keel/test/machine"
	"keel/vmkernel/api"
	"keel/vmkernel/api/client"
	"keel/vmkernel/auth"
	"keel/vmkernel/seed"
)

// bootDoor boots a QEMU with a seed and words on its command line.
func bootDoor(t *testing.T, seedPath, words string, extra ...string) (run, string) {
	t.Helper()
	n, address := network(t, "virtio-net-pci,disable-legacy=on", 443)
	m := machine.QEMU{Kernel: image(t), Seed: seedPath, Args: words, Network: n, MemMiB: 512, Extra: extra}
	return run{machine.Boot(t, m, 4*time.Minute), t}, address
}

// letIn says whether a user is let in, and as what the host knows him.
func letIn(t *testing.T, c *client.Conn) (v api.Version, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	err = c.Get(ctx, client.Path("version"), nil, &v)
	return v, err
}

// TestHostWithoutASeedIsClaimed by the code on its console, once.
func TestHostWithoutASeedIsClaimed(t *testing.T) {
	r, address := bootDoor(t, "", "")
	key := r.door()
	claimed(t, r, address, key, newOperators(t, "mine", time.Now().Add(-time.Hour)))
}

// claimed claims a host for operators, whose administrator then comes in.
func claimed(t *testing.T, r run, address string, key auth.Fingerprint, ops *operators) *client.Conn {
	t.Helper()
	m, err := r.WaitFor(t.Context(), claimLine)
	if err != nil {
		t.Fatal(err)
	}
	if m[2] != string(key) {
		t.Errorf("the claim is for the key %s, the door has %s", m[2], key)
	}
	ctx := patient(t)
	stranger := dial(t, address, key, nil)
	if _, err := letIn(t, stranger); err == nil {
		t.Error("a stranger is let in")
	}
	claim := func(code string) error {
		request, err := auth.NewClaim(code, key, ops.ca.Certificate, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		var answer api.Claimed
		if err := stranger.Post(ctx, client.Path("claim"), api.Claim{CA: request.CA, Time: request.Time, Nonce: request.Nonce, Proof: request.Proof}, &answer); err != nil {
			return err
		}
		return request.CheckAnswer(code, key, auth.ClaimAnswer{Proof: answer.Proof})
	}
	if err := claim("0000-0000-0000-0000"); err == nil {
		t.Error("a wrong code is taken")
	}
	if err := claim(m[1]); err != nil {
		t.Fatalf("the code on the console: %v", err)
	}
	if err := claim(m[1]); err == nil {
		t.Error("the code is taken twice")
	}
	conn := dial(t, address, key, ops.admin())
	if v, err := letIn(t, conn); err != nil || v.You.Role != "admin" {
		t.Errorf("the new administrator: %+v, %v", v, err)
	}
	return conn
}

// TestLostAuthorityIsRecovered at the machine: the operators that the seed names are nobody's any more, or have expired.
func TestLostAuthorityIsRecovered(t *testing.T) {
	for name, since := range map[string]time.Time{
		"lost":    time.Now().Add(-time.Hour),
		"expired": time.Now().AddDate(-30, 0, 0),
	} {
		t.Run(name, func(t *testing.T) {
			old := newOperators(t, "old", since)
			path := old.trusting(t, nil, []seed.VM{linux("tux", 1, 64*mib, "")}, files(t, fileLinux, fileInitrd))
			r, address := bootDoor(t, path, "recover")
			key := r.door()
			conn := claimed(t, r, address, key, newOperators(t, "new", time.Now().Add(-time.Hour)))
			var h api.Host
			if err := conn.Get(patient(t), client.Path("host"), nil, &h); err != nil {
				t.Fatal(err)
			}
			if h.State != "recovery" || h.Resources.VMsRunning != 0 || h.Resources.VMs != 1 || len(r.byVM(startedLine)) != 0 {
				t.Errorf("host %+v, started %v", h, r.byVM(startedLine))
			}
			var records api.AuditRecords
			if err := conn.Get(patient(t), client.Path("audit", "records"), nil, &records); err != nil {
				t.Fatal(err)
			}
			if !slices.ContainsFunc(records.Records, func(s string) bool { return strings.Contains(s, "recover.access") }) {
				t.Errorf("the audit log doesn't say that access was recovered: %s", records.Records)
			}
			// The code is for those who stand before the machine, and nobody else.
			lines := 0
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			client.Each(ctx, conn, client.Path("host", "log"), map[string][]string{"from": {"1"}, "follow": {"false"}}, func(l api.LogLine) error {
				if lines++; strings.Contains(l.Text, "claim open") {
					t.Errorf("the log that operators read has %q", l.Text)
				}
				return nil
			})
			if lines == 0 {
				t.Error("the host's log has no line")
			}
		})
	}
}

// TestDeadClockKeepsNobodyOut boots in 2001: certificates of today are valid all the same.
func TestDeadClockKeepsNobodyOut(t *testing.T) {
	ops := newOperators(t, "ops", time.Now().Add(-time.Hour))
	r, address := bootDoor(t, ops.trusting(t, nil, nil, nil), "", "-rtc", "base=2001-09-09T01:46:40")
	key := r.door()
	_, _, c := ops.user("alice", auth.Admin, time.Now().Add(-time.Hour))
	conn := dial(t, address, key, c)
	if _, err := letIn(t, conn); err != nil {
		t.Error(err)
	}
	if now := timeOf(t, conn); now.Source != "build" && now.Source != "seed" || time.Since(now.Now).Abs() > 3*time.Hour {
		t.Errorf("time %+v", now)
	}
	if !slices.ContainsFunc(r.Lines(), regexp.MustCompile(`msg="the machine's clock is wrong"`).MatchString) {
		t.Error("the log doesn't say that the clock is wrong")
	}
}

func timeOf(t *testing.T, c *client.Conn) (now api.HostTime) {
	t.Helper()
	if err := c.Get(patient(t), client.Path("host", "time"), nil, &now); err != nil {
		t.Fatal(err)
	}
	return now
}

// TestWrongAddressKeepsNobodyOut gives a host an address of another, and one whose router isn't there.
func TestWrongAddressKeepsNobodyOut(t *testing.T) {
	ops := newOperators(t, "ops", time.Now().Add(-time.Hour))
	for name, c := range map[string]struct {
		address, router, says string
	}{
		"another's":     {"10.0.2.2/24", "", "another host"},
		"silent router": {"10.0.2.99/24", "10.0.2.98", "doesn't answer"},
	} {
		t.Run(name, func(t *testing.T) {
			path := ops.trusting(t, func(h *seed.Host) {
				h.Management.Addresses = []netip.Prefix{netip.MustParsePrefix(c.address)}
				if c.router != "" {
					h.Management.Routers = []netip.Addr{netip.MustParseAddr(c.router)}
				}
			}, nil, nil)
			r, address := bootDoor(t, path, "")
			key := r.door()
			if _, err := r.WaitFor(t.Context(), regexp.MustCompile(`^level=INFO msg=network .*10\.0\.2\.15/24`)); err != nil {
				t.Fatal(err)
			}
			conn := dial(t, address, key, ops.admin())
			var n api.Network
			if err := conn.Get(patient(t), client.Path("host", "network"), nil, &n); err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(n.Fallback, c.says) || n.DHCP != "10.0.2.2" {
				t.Errorf("network %+v", n)
			}
		})
	}
}

// TestWrongCardAndNetworksKeepNobodyOut has a seed name a card that isn't there, and let nobody near the door who is: `Recover
// access` lets an administrator in all the same.
func TestWrongCardAndNetworksKeepNobodyOut(t *testing.T) {
	ops := newOperators(t, "ops", time.Now().Add(-time.Hour))
	path := ops.trusting(t, func(h *seed.Host) {
		h.Management.NIC = "52:54:00:ff:ff:ff"
		h.Management.AllowFrom = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
	}, nil, nil)
	r, address := bootDoor(t, path, "recover")
	claimed(t, r, address, r.door(), newOperators(t, "new", time.Now().Add(-time.Hour)))
}

// TestWrongNetworkIsRecovered has a seed give a host no network, and one with an address and in a VLAN where nobody is: `Recover
// access` lets an administrator in all the same.
func TestWrongNetworkIsRecovered(t *testing.T) {
	ops := newOperators(t, "ops", time.Now().Add(-time.Hour))
	for name, m := range map[string]seed.Management{
		"none":       {},
		"wrong VLAN": {NIC: seed.NICAuto, VLAN: 7, Addresses: []netip.Prefix{netip.MustParsePrefix("192.0.2.7/24")}},
	} {
		t.Run(name, func(t *testing.T) {
			path := ops.trusting(t, func(h *seed.Host) { h.Management = m }, nil, nil)
			r, address := bootDoor(t, path, "recover")
			key := r.door()
			// The line may come before the door's or after the claim's, in another VLAN.
			there := regexp.MustCompile(`^level=INFO msg=network .*10\.0\.2\.15/24`).MatchString
			for began := time.Now(); !slices.ContainsFunc(r.Lines(), there); time.Sleep(time.Second) {
				if time.Since(began) > time.Minute {
					t.Fatal("the host has no address where it is looked for")
				}
			}
			claimed(t, r, address, key, newOperators(t, "new", time.Now().Add(-time.Hour)))
		})
	}
}

// TestStrangersDoNotReachTheDoor has the door be for other networks than the emulator's.
func TestStrangersDoNotReachTheDoor(t *testing.T) {
	ops := newOperators(t, "ops", time.Now().Add(-time.Hour))
	path := ops.trusting(t, func(h *seed.Host) {
		h.Management.AllowFrom = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
	}, nil, nil)
	r, address := bootDoor(t, path, "")
	conn := dial(t, address, r.door(), ops.admin())
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if err := conn.Get(ctx, client.Path("version"), nil, nil); err == nil {
		t.Error("a host from elsewhere reaches the door")
	}
}

// TestNetworkChangeReverts unless it is confirmed: the host comes back, from an address where nobody finds it.
func TestNetworkChangeReverts(t *testing.T) {
	ops := newOperators(t, "ops", time.Now().Add(-time.Hour))
	r, address := bootDoor(t, ops.trusting(t, nil, nil, nil), "")
	key := r.door()
	conn := dial(t, address, key, ops.admin())
	ctx := patient(t)
	change := func(c api.NetworkConfig) error {
		header, err := conn.Call(ctx, client.Request{Method: "GET", Path: client.Path("host", "network")}, nil)
		if err != nil {
			t.Fatal(err)
		}
		_, err = conn.Call(ctx, client.Request{Method: "PUT", Path: client.Path("host", "network"), In: c, Match: header.Get("ETag")}, nil)
		return err
	}
	var refused *client.Refused
	if err := change(api.NetworkConfig{VLAN: 5000}); !errors.As(err, &refused) || refused.Answer.Code != api.CodeInvalid {
		t.Errorf("VLAN 5000: %v", err)
	}
	// In VLAN 7 there is nobody.
	if err := change(api.NetworkConfig{VLAN: 7}); err != nil {
		t.Fatal(err)
	}
	time.Sleep(2 * time.Second)
	once, cancel := context.WithTimeout(ctx, 3*time.Second)
	if err := dial(t, address, key, ops.admin()).Get(once, client.Path("version"), nil, nil); err == nil {
		t.Error("the host is reached although it is in another VLAN")
	}
	cancel()
	if _, err := r.WaitFor(ctx, regexp.MustCompile(`^level=WARN msg="the network's change is reverted`)); err != nil {
		t.Fatal(err)
	}
	time.Sleep(3 * time.Second) // for DHCP
	conn = dial(t, address, key, ops.admin())
	if _, err := letIn(t, conn); err != nil {
		t.Fatalf("after the change was reverted: %v", err)
	}
	// The same with another server for names, confirmed.
	if err := change(api.NetworkConfig{DNS: []netip.Addr{netip.MustParseAddr("10.0.2.3")}}); err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Second)
	if err := conn.Post(ctx, client.Path("host", "network", "confirm"), nil, nil); err != nil {
		t.Error(err)
	}
}

// TestNetworkCardIsChanged moves a host to its other card, in another network: back after a minute without a word, and for good
// once that is confirmed there.
func TestNetworkCardIsChanged(t *testing.T) {
	const second = "52:54:00:12:34:57"
	ops := newOperators(t, "ops", time.Now().Add(-time.Hour))
	port := machine.FreePort(t)
	there := localhost(port)
	path := ops.trusting(t, func(h *seed.Host) { h.Management.NIC = machine.MAC }, nil, nil)
	r, here := bootDoor(t, path, "", "-netdev", fmt.Sprintf("user,id=other,hostfwd=tcp:%s-:443", there), "-device", "e1000,netdev=other,mac="+second)
	key := r.door()
	ctx := patient(t)
	change := func(address, nic string) error {
		conn := dial(t, address, key, ops.admin())
		defer conn.Close()
		header, err := conn.Call(ctx, client.Request{Method: "GET", Path: client.Path("host", "network")}, nil)
		if err != nil {
			t.Fatal(err)
		}
		_, err = conn.Call(ctx, client.Request{Method: "PUT", Path: client.Path("host", "network"), In: api.NetworkConfig{NIC: nic}, Match: header.Get("ETag")}, nil)
		return err
	}
	reached := func(address string) bool {
		once, cancel := context.WithTimeout(ctx, 10*time.Second)
		defer cancel()
		conn := dial(t, address, key, ops.admin())
		defer conn.Close()
		return conn.Get(once, client.Path("version"), nil, nil) == nil
	}
	until := func(address string) {
		t.Helper()
		for start := time.Now(); !reached(address); time.Sleep(time.Second) {
			if time.Since(start) > time.Minute {
				t.Fatalf("the host isn't reached at %s", address)
			}
		}
	}
	var refused *client.Refused
	if err := change(here, "52:54:00:ff:ff:ff"); !errors.As(err, &refused) || refused.Answer.Code != api.CodeInvalid {
		t.Errorf("a card that isn't there: %v", err)
	}
	if err := change(here, second); err != nil {
		t.Fatal(err)
	}
	until(there)
	if reached(here) {
		t.Error("the host is still reached by the card before")
	}
	if _, err := r.WaitFor(ctx, regexp.MustCompile(`^level=WARN msg="the network's change is reverted`)); err != nil {
		t.Fatal(err)
	}
	until(here)
	if reached(there) {
		t.Error("the host is still reached by the card that it has gone back from")
	}
	if err := change(here, second); err != nil {
		t.Fatal(err)
	}
	until(there)
	conn := dial(t, there, key, ops.admin())
	var n api.Network
	if err := conn.Post(ctx, client.Path("host", "network", "confirm"), nil, &n); err != nil {
		t.Fatal(err)
	}
	if n.Pending != nil || n.Config.NIC != second || n.Card.MAC != second || n.Card.Driver != "e1000" {
		t.Errorf("%+v", n)
	}
	r.wantNoErrors()
}
