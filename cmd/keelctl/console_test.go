package main

import (
	"io"
	"strings"
	"testing"
	"time"
)

// running is a machine and a host whose VM demo runs.
func running(t *testing.T) (*session, *rig) {
	t.Helper()
	inVMDir(t)
	s, r := managed(t, rigOptions{})
	s.must(t, "vm", "create", "-f", "vm.yaml", "--start", "--wait")
	return s, r
}

func TestAConsoleIsATerminal(t *testing.T) {
	s, _ := running(t)
	s.tty = true
	keys, hands := io.Pipe()
	c := s.background(keys, "vm", "console", "demo")
	c.out.waitFor(t, "") // it is connected once the guest answers
	io.WriteString(hands, "ls\x03\x1d\x1d")
	c.out.waitFor(t, "LS\x03\x1d") // Ctrl-C and Ctrl-] reach the guest
	io.WriteString(hands, "\x1ds")
	c.out.waitFor(t, "STTY ROWS 30 COLS 100\r")
	io.WriteString(hands, "\x1d?7")
	c.out.waitFor(t, "7")
	io.WriteString(hands, "\x1dq8")
	r := c.end(t)
	if r.code != 0 || !strings.Contains(r.out, "7") || strings.Contains(r.out, "8") {
		t.Errorf("%+v", r)
	}
	for _, want := range []string{"Ctrl-] q leaves", "this window has 100 columns and 30 rows", "you type there", "left the console", "send Ctrl-]"} {
		if !strings.Contains(r.errout, want) {
			t.Errorf("%q is not said: %s", want, r.errout)
		}
	}
	_, raw, _ := strings.Cut(r.errout, "helps\r\n")
	if raw == "" || strings.Count(raw, "\n") != strings.Count(raw, "\r\n") {
		t.Errorf("lines don't end as raw mode needs it: %q", r.errout)
	}
}

func TestWhoHoldsAConsoleIsSaidAndItCanBeTakenOver(t *testing.T) {
	alice, r := running(t)
	alice.tty = true
	bob := newSession(t)
	bob.must(t, "cert", "request", "--user", "bob")
	alice.must(t, "cert", "sign", "bob.csr", "--role", "operator")
	bob.must(t, "cert", "install", "bob.pem")
	bob.must(t, "host", "add", r.address, "--fingerprint", r.fingerprint())

	keys, hands := io.Pipe()
	a := alice.background(keys, "vm", "console", "demo")
	io.WriteString(hands, "one")
	a.out.waitFor(t, "ONE")
	if out := bob.must(t, "vm", "get", "demo").out; !strings.Contains(out, "alice types") {
		t.Errorf("vm get doesn't say who holds the console: %s", out)
	}

	// Without a terminal nothing is typed into another's console.
	bob.stdin = "two"
	bob.fails(t, 5, "alice", "vm", "console", "demo", "--timeout", "2s")

	bob.tty = true
	bobsKeys, bobsHands := io.Pipe()
	b := bob.background(bobsKeys, "vm", "console", "demo")
	b.out.waitFor(t, "ONE") // what was before, as a watcher
	io.WriteString(bobsHands, "no")
	time.Sleep(50 * time.Millisecond)
	io.WriteString(bobsHands, "\x1dt")
	if !eventually(func() bool { return strings.Contains(bob.must(t, "vm", "get", "demo").out, "bob types") }) {
		t.Fatal("it never was his")
	}
	io.WriteString(bobsHands, "three")
	a.out.waitFor(t, "THREE") // the one who held it watches
	io.WriteString(hands, "four")
	time.Sleep(50 * time.Millisecond)
	io.WriteString(hands, "\x1d.")
	ra := a.end(t)
	if ra.code != 0 || strings.Contains(ra.out, "FOUR") || !strings.Contains(ra.errout, "bob has taken the console over") {
		t.Errorf("alice: %+v", ra)
	}
	io.WriteString(bobsHands, "\x1dq")
	rb := b.end(t)
	if rb.code != 0 || strings.Contains(rb.out, "NO") || !strings.Contains(rb.errout, "alice types there") || strings.Count(rb.out, "ONE") != 1 {
		t.Errorf("bob: %+v", rb)
	}
}

func TestAWatcherOnlyReads(t *testing.T) {
	s, r := running(t)
	v := r.VMs.Get("demo")
	w := s.background(strings.NewReader(""), "vm", "console", "demo", "--watch")
	i := 0
	if !eventually(func() bool {
		v.Port.Put("watched"[i%7])
		i++
		return strings.Contains(w.out.String(), "watched")
	}) {
		t.Fatal("the watcher sees nothing")
	}
	w.cancel()
	if got := w.end(t); got.code != 0 {
		t.Errorf("%+v", got)
	}
	s.fails(t, 2, "make no sense together", "vm", "console", "demo", "--watch", "--take")
	s.fails(t, 3, "ttyS3", "vm", "console", "demo", "--port", "ttyS3")
}

func TestAConsoleEndsWithItsVM(t *testing.T) {
	s, r := running(t)
	s.tty = true
	keys, hands := io.Pipe()
	c := s.background(keys, "vm", "console", "demo")
	io.WriteString(hands, "a")
	c.out.waitFor(t, "A")
	s.must(t, "vm", "delete", "demo", "--kill")
	if got := c.end(t); got.code != 0 || !strings.Contains(got.errout, "has ended") {
		t.Errorf("%+v", got)
	}
	if r.VMs.Get("demo") != nil {
		t.Error("the VM is still there")
	}
}
