package status

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func host() *Info {
	return &Info{
		State: Ready, Name: "keel-1", Version: "0.4.0", Maker: "QEMU", Product: "Standard PC (Q35 + ICH9, 2009)", Serial: "SN-4711",
		CPUs: 4, Virt: "amd-v", Memory: 16 << 30, Free: 12<<30 + 300<<20, Running: 3, Defined: 5,
		Addresses: []string{"10.0.2.15", "2001:db8::15"}, Key: "SHA256:" + strings.Repeat("abcd", 10) + "xyz",
		CAs:   []CA{{Name: "ops", Fingerprint: "SHA256:" + strings.Repeat("ABCD", 10) + "xyz"}},
		NICs:  []NIC{{"00:03.0", "virtio-net", "52:54:00:12:34:56", "1000Mbit/s", "10.0.2.15/24", true}, {Where: "00:04.0"}},
		Clock: "SNTP from 10.0.2.3", Now: time.Date(2026, 11, 28, 19, 30, 0, 0, time.UTC), Seed: `boot module 1 "seed"`,
	}
}

func TestPageSaysWhatThereIs(t *testing.T) {
	i := host()
	text := Render(i).String()
	for _, want := range []string{" READY  keel-1", "Keel 0.4.0\n", "QEMU Standard PC (Q35 + ICH9, 2009)", "serial number SN-4711\n", "4, AMD-V; memory 16.0 GiB, 12.3 GiB free",
		"DMA protection: off\n", "3 running of 5", "10.0.2.15  2001:db8::15", i.Key, i.CAs[0].Fingerprint + "  ops",
		"00:03.0 virtio-net 52:54:00:12:34:56 1000Mbit/s 10.0.2.15/24", "00:04.0 no driver", "2026-11-28 19:30 UTC, SNTP from 10.0.2.3", `boot module 1 "seed"`, "Last error  none"} {
		if !strings.Contains(text, want) {
			t.Errorf("the page lacks %q:\n%s", want, text)
		}
	}
	if strings.Contains(text, "Claim") {
		t.Errorf("a claim that isn't open:\n%s", text)
	}
	i.Version = "v0.0.0-20261128214444-24f0c85ecd55+dirty" // of what isn't a release
	if text := Render(i).String(); !strings.Contains(text, "keel-1") || !strings.Contains(text, i.Version+"\n") {
		t.Errorf("the version is cut:\n%s", text)
	}
	i.DMAProtected, i.Lockdown, i.LastError, i.NotUsed = true, true, "vm crashed", []string{"medium: older than the one in use"}
	i.CAEnd = "ops ends 2027-01-01"
	i.Claim, i.ClaimUntil = "7XK2-M4QP", i.Now.Add(15*time.Minute)
	text = Render(i).String()
	for _, want := range []string{"DMA protection: on\n", "lockdown: only Recover access", "ops ends 2027-01-01: give the host another", "vm crashed", "medium: older", "Claim code  7XK2-M4QP until 19:45 UTC", "keelctl host claim 10.0.2.15"} {
		if !strings.Contains(text, want) {
			t.Errorf("the page lacks %q:\n%s", want, text)
		}
	}
	if t.Logf("\n%s", text); !strings.Contains(Render(&Info{State: Offline}).String(), "the host can't be reached") {
		t.Error("a host without address")
	}
}

// hostile is everything too long, too much, and not printable.
func hostile() *Info {
	long := strings.Repeat("\x1b[2J\n\u202eäöü%s\x00\xff", 100)
	i := &Info{State: State("X" + long[:0]), Name: long, Version: long, Maker: long, Product: long, Serial: long, CPUs: 1 << 60, Virt: long,
		Memory: 1<<64 - 1, Free: 1<<64 - 1, Running: 1 << 60, Defined: 1 << 60, Key: long, CAEnd: long, Lockdown: true, Clock: long,
		Now: time.Unix(1<<40, 0), Seed: long, LastError: long, Claim: long, ClaimUntil: time.Unix(1<<40, 0)}
	for n := range 100 {
		i.Addresses = append(i.Addresses, long)
		i.CAs = append(i.CAs, CA{long, long})
		i.NICs = append(i.NICs, NIC{long, long, long, long, fmt.Sprint(n, long), n == 50})
		i.NotUsed = append(i.NotUsed, long)
	}
	return i
}

func TestPageFitsWhateverItIsTold(t *testing.T) {
	for _, claim := range []bool{false, true} {
		i := hostile()
		if !claim {
			i.Claim = ""
		}
		p := Render(i)
		for at, c := range p {
			if b := byte(c); b < ' ' || b > '~' || c>>15 != 0 {
				t.Fatalf("cell %d is %#x", at, c)
			}
		}
		text := p.String()
		// What matters most has its place, however much else there is.
		for _, want := range []string{"Last error", "Clock", "Seed", "Host key", "This screen takes no input", "and 96 more", "and 98 more", "and 99 more"} {
			if !strings.Contains(text, want) {
				t.Errorf("claim %v: the page lacks %q:\n%s", claim, want, text)
			}
		}
		if claim != strings.Contains(text, "Claim code") {
			t.Errorf("claim %v:\n%s", claim, text)
		}
	}
}

func TestEveryStateIsOneWordInItsColour(t *testing.T) {
	seen := map[State]bool{}
	for _, s := range []State{Starting, Ready, Unclaimed, Recovery, Safe, Offline, Stopping} {
		p := Render(&Info{State: s, Name: "n"})
		if got := strings.Fields(p.Text(0))[0]; got != string(s) || p[1]>>12 == 1 {
			t.Errorf("%s: %q in %#x", s, got, p[1])
		}
		seen[s] = true
	}
	if p := Render(&Info{State: Ready}); p[1]>>12 != 2 {
		t.Error("ready isn't green")
	}
}

func TestClip(t *testing.T) {
	for _, c := range []struct {
		text  string
		width int
		want  string
	}{{"abc", 3, "abc"}, {"abcd", 3, "a.."}, {"abcd", 1, "a"}, {"", 5, ""}, {"ä\n\x7f", 5, "???"}, {"abc", 0, ""}} {
		if got := clip(c.text, c.width); got != c.want {
			t.Errorf("%q in %d: %q", c.text, c.width, got)
		}
	}
}
