package audit

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"keel/vmkernel/auth"
)

// host is a log as a client gets it.
type host struct{ *Log }

func (h host) Head(context.Context) (Head, error) { return h.Log.Head() }
func (h host) Read(_ context.Context, from int64, n int) (Page, error) {
	return h.Log.Read(from, n), nil
}
func (h host) Consistency(_ context.Context, old, size int64) (tlog.TreeProof, error) {
	return h.Log.Consistency(old, size)
}

func calls(t testing.TB, l *Log, n int, on string) {
	t.Helper()
	for range n {
		id, err := l.Begin(start(on))
		if err != nil {
			t.Fatal(err)
		}
		l.End(id, Outcome{Result: OK, Code: 200})
	}
}

// verify fetches a log and verifies it online.
func verify(t testing.TB, m *Memory, l *Log) (*Report, error) {
	t.Helper()
	e, err := Fetch(t.Context(), host{l}, l.signerKey())
	if err != nil {
		t.Fatal(err)
	}
	return m.Verify(t.Context(), e, host{l}.Consistency, time.Now())
}

func (l *Log) signerKey() crypto.PublicKey { return l.signer.(*signer).pub }

func (l *Log) fingerprint(t testing.TB) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(l.signerKey())
	if err != nil {
		t.Fatal(err)
	}
	return string(auth.FingerprintOfSPKI(der))
}

func TestALogThatGrowsVerifiesAgainstWhatIsRemembered(t *testing.T) {
	l := newLog(t)
	var m Memory
	for i := range 40 {
		r, err := verify(t, &m, l)
		if err != nil {
			t.Fatal(err)
		}
		if (r.Remembered != nil) != (i > 0) || r.Restart != nil || r.First != 0 {
			t.Fatalf("round %d: %+v", i, r)
		}
		// Over its file, as a client has it between two calls.
		b, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		p, err := ParseMemory(b)
		if err != nil {
			t.Fatal(err)
		}
		m = *p
		calls(t, l, i%7, "demo")
	}
}

func TestARestartIsReportedAsARestart(t *testing.T) {
	var m Memory
	first := newLog(t)
	calls(t, first, 3, "demo")
	if _, err := verify(t, &m, first); err != nil {
		t.Fatal(err)
	}
	_, other, _ := ed25519.GenerateKey(nil)
	second := newLog(t, func(c *Config) { c.Boot, c.Key = "b008", other })
	r, err := verify(t, &m, second)
	if err != nil {
		t.Fatal(err)
	}
	if r.Restart == nil || r.Restart.Before.Origin != "keel/audit/keel-1/b007" || r.Restart.Before.Tree.N != 7 || !r.Restart.NewKey {
		t.Errorf("%+v", r.Restart)
	}
	if r, err := verify(t, &m, second); err != nil || r.Restart != nil {
		t.Errorf("the second time: %+v, %v", r, err)
	}
	if _, err := verify(t, &m, first); !errors.Is(err, ErrTampered) {
		t.Errorf("a log of a boot that has ended: %v", err)
	}
}

// A host that lies has its key, so what it shows is always signed.
func TestALyingHostIsFoundOut(t *testing.T) {
	truth := func(change ...func(*Config)) *Log {
		l := newLog(t, append(change, fixed)...)
		for _, on := range []string{"a", "b", "c", "d"} {
			calls(t, l, 1, on)
		}
		return l
	}
	for name, lie := range map[string]func() *Log{
		"truncated":     func() *Log { l := newLog(t); calls(t, l, 1, "a"); return l },
		"edited":        func() *Log { l := newLog(t); calls(t, l, 1, "A"); calls(t, l, 4, "d"); return l },
		"removed":       func() *Log { l := newLog(t); calls(t, l, 1, "a"); calls(t, l, 1, "c"); calls(t, l, 4, "d"); return l },
		"other key":     func() *Log { _, k, _ := ed25519.GenerateKey(nil); return truth(func(c *Config) { c.Key = k }) },
		"fork, as long": func() *Log { l := newLog(t); calls(t, l, 4, "fork"); return l },
	} {
		t.Run(name, func(t *testing.T) {
			var m Memory
			if _, err := verify(t, &m, truth()); err != nil {
				t.Fatal(err)
			}
			before := m.Last().Tree
			if _, err := verify(t, &m, lie()); !errors.Is(err, ErrTampered) {
				t.Errorf("error: %v", err)
			}
			if m.Last().Tree != before {
				t.Error("the lie is remembered")
			}
		})
	}
}

// A client that comes back late finds hashes alone of what it remembers.
func TestAHeadFromBeforeTheFirstRecordThatIsLeftIsProved(t *testing.T) {
	l := newLog(t)
	var m Memory
	if _, err := verify(t, &m, l); err != nil {
		t.Fatal(err)
	}
	calls(t, l, 77, "demo")
	if _, err := verify(t, &m, l); err != nil {
		t.Fatal(err)
	}
	calls(t, l, maxRecords*3/4, "demo")
	lie := newLog(t)
	calls(t, lie, maxRecords*3/4+77, "fork")
	unseen := Memory{Boots: slices.Clone(m.Boots)}
	if r, err := verify(t, &m, l); err != nil || r.Remembered.Tree.N != 155 || r.First < 155 {
		t.Errorf("%+v, %v", r, err)
	}
	e, err := Fetch(t.Context(), host{lie}, lie.signerKey())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := unseen.Verify(t.Context(), e, host{l}.Consistency, time.Now()); !errors.Is(err, ErrTampered) {
		t.Errorf("a fork, with a proof of the other: %v", err)
	}
	if _, err := unseen.Verify(t.Context(), e, host{lie}.Consistency, time.Now()); !errors.Is(err, ErrForgotten) {
		t.Errorf("a fork that was never asked for so old a head: %v", err)
	}
}

// A host may sign what it likes: its records' numbers have to be those of their places.
func TestRecordsOutOfPlaceAreNamed(t *testing.T) {
	l := newLog(t)
	calls(t, l, 2, "demo")
	l.tree.n++ // as if one had been skipped
	l.start(l.now(), kindEvent)
	l.tree.n--
	l.append(true)
	var m Memory
	if _, err := verify(t, &m, l); !errors.Is(err, ErrTampered) || !strings.Contains(err.Error(), "record 6 is where 5 should be") {
		t.Errorf("error: %v", err)
	}
}

// exported returns a log's export as a file.
func exported(t testing.TB, l *Log) []byte {
	t.Helper()
	e, err := Fetch(t.Context(), host{l}, l.signerKey())
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := e.Write(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func verifyFile(t testing.TB, m *Memory, file []byte) (*Report, error) {
	t.Helper()
	e, err := ReadExport(bytes.NewReader(file))
	if err != nil {
		return nil, err
	}
	return m.Verify(t.Context(), e, nil, time.Now())
}

func TestAnExportedFileVerifiesAndEachChangeOfItIsFound(t *testing.T) {
	l := newLog(t)
	calls(t, l, 5, "demo")
	file := exported(t, l)
	r, err := verifyFile(t, &Memory{}, file)
	if err != nil {
		t.Fatal(err)
	}
	if r.Checkpoint.Tree.N != 11 || r.Fingerprint != l.fingerprint(t) {
		t.Fatalf("%+v", r)
	}
	lines := strings.SplitAfter(string(file), "\n")
	lines = lines[:len(lines)-1]
	change := func(name string, f func(l []string) []string) {
		changed := strings.Join(f(append([]string(nil), lines...)), "")
		if changed == string(file) {
			t.Fatalf("%s: nothing changed", name)
		}
		if _, err := verifyFile(t, &Memory{}, []byte(changed)); err == nil {
			t.Errorf("%s: not found", name)
		}
	}
	for i := 1; i < len(lines); i++ {
		change("removed", func(l []string) []string { return append(l[:i], l[i+1:]...) })
		change("doubled", func(l []string) []string { return append(l[:i:i], append([]string{l[i]}, l[i:]...)...) })
		change("edited", func(l []string) []string { l[i] = strings.Replace(l[i], `"kind"`, `"kinD"`, 1); return l })
		change("a space", func(l []string) []string { l[i] = " " + l[i]; return l })
		change("a CR", func(l []string) []string { l[i] = strings.TrimSuffix(l[i], "\n") + "\r\n"; return l })
		if i > 1 {
			change("swapped", func(l []string) []string { l[i], l[i-1] = l[i-1], l[i]; return l })
			change("truncated", func(l []string) []string { return l[:i] })
		}
	}
	change("renumbered", func(l []string) []string {
		l = append(l[:5], l[6:]...)
		for i := range l {
			if i > 0 {
				j := strings.IndexByte(l[i], ',')
				l[i] = `{"seq":` + string(rune('0'+i-1)) + l[i][j:]
			}
		}
		return l
	})
	change("a flipped bit of the signature", func(l []string) []string {
		i := strings.LastIndex(l[0], `\n","first"`)
		l[0] = l[0][:i-5] + "AAAA" + l[0][i-1:]
		return l
	})
	change("another size", func(l []string) []string { l[0] = strings.Replace(l[0], `\n11\n`, `\n12\n`, 1); return l })
}

func TestAFileIsComparedWithWhatIsRemembered(t *testing.T) {
	l := newLog(t)
	old := exported(t, l)
	calls(t, l, 3, "demo")
	var m Memory
	if _, err := verify(t, &m, l); err != nil {
		t.Fatal(err)
	}
	if r, err := verifyFile(t, &m, old); err != nil || !r.Older || r.Remembered != nil {
		t.Errorf("older: %+v, %v", r, err)
	}
	calls(t, l, 3, "demo")
	if r, err := verifyFile(t, &m, exported(t, l)); err != nil || r.Remembered == nil || r.Remembered.Tree.N != 7 {
		t.Errorf("newer: %+v, %v", r, err)
	}
	fork := newLog(t)
	calls(t, fork, 9, "fork")
	if _, err := verifyFile(t, &m, exported(t, fork)); !errors.Is(err, ErrTampered) {
		t.Errorf("a fork: %v", err)
	}
	if n := m.Last().Tree.N; n != 7 {
		t.Errorf("a file's head is remembered: %d records", n)
	}
}

func TestRecordsMayOnlyBeMissingIfTheLogSaysThatItDroppedThem(t *testing.T) {
	l := newLog(t)
	calls(t, l, 5, "demo")
	// The host shows records from 4 on with true hashes for those before.
	e, err := Fetch(t.Context(), host{l}, l.signerKey())
	if err != nil {
		t.Fatal(err)
	}
	e.Head.First, e.Record = 4, e.Record[4:]
	if e.Head.Prefix, err = l.tree.prefix(4); err != nil {
		t.Fatal(err)
	}
	var m Memory
	if _, err := m.Verify(t.Context(), e, host{l}.Consistency, time.Now()); !errors.Is(err, ErrTampered) || !strings.Contains(err.Error(), "dropped") {
		t.Errorf("error: %v", err)
	}
}

func TestARecordOfACollectorCanBeProvedToBeInTheLog(t *testing.T) {
	l := newLog(t)
	calls(t, l, 50, "demo")
	signed, err := l.Checkpoint()
	if err != nil {
		t.Fatal(err)
	}
	c, err := parseCheckpoint(signed)
	if err != nil {
		t.Fatal(err)
	}
	calls(t, l, 50, "demo")
	for seq, line := range l.Read(0, int(c.Tree.N)).Records {
		p, err := l.Inclusion(int64(seq), c.Tree.N)
		if err != nil {
			t.Fatal(err)
		}
		if err := tlog.CheckRecord(p, c.Tree.N, c.Tree.Hash, int64(seq), tlog.RecordHash(line)); err != nil {
			t.Fatalf("record %d: %v", seq, err)
		}
	}
	for _, x := range [][2]int64{{-1, 5}, {5, 5}, {0, 1000}} {
		if _, err := l.Inclusion(x[0], x[1]); err == nil {
			t.Errorf("record %d of %d: no error", x[0], x[1])
		}
	}
	for _, x := range [][2]int64{{0, 5}, {-1, 5}, {6, 5}, {5, 1000}} {
		if _, err := l.Consistency(x[0], x[1]); err == nil {
			t.Errorf("%d to %d: no error", x[0], x[1])
		}
	}
}

func TestAnECDSAKeySignsToo(t *testing.T) {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	l := newLog(t, func(c *Config) { c.Key = k })
	calls(t, l, 3, "demo")
	file := exported(t, l)
	if _, err := verifyFile(t, &Memory{}, file); err != nil {
		t.Fatal(err)
	}
	e, _ := ReadExport(bytes.NewReader(file))
	e.Head.Note = bytes.Replace(e.Head.Note, []byte("time 2"), []byte("time 3"), 1)
	if _, err := (&Memory{}).Verify(t.Context(), e, nil, time.Now()); err == nil {
		t.Error("an edited checkpoint passes")
	}
	if p384, _ := ecdsa.GenerateKey(elliptic.P384(), rand.Reader); true {
		if _, err := NewSigner("keel/audit/a/b", p384); err == nil {
			t.Error("P-384 passes")
		}
	}
}

func TestACheckpointIsSignedOnlyOnceTheLogHasGrown(t *testing.T) {
	l := newLog(t)
	a, _ := l.Checkpoint()
	b, _ := l.Checkpoint()
	if &a[0] != &b[0] {
		t.Error("it was signed again")
	}
	calls(t, l, 1, "demo")
	if c, _ := l.Checkpoint(); bytes.Equal(a, c) {
		t.Error("it wasn't signed again")
	}
}
