package audit

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"keel/vmkernel/auth"
)

// ErrTampered says that a log isn't what it was, or contradicts itself. The error that wraps it says how.
var ErrTampered = errors.New("the audit log has been tampered with")

// tampered makes an error that is ErrTampered.
func tampered(format string, args ...any) error {
	return fmt.Errorf("audit: %w: %s", ErrTampered, fmt.Sprintf(format, args...))
}

// Report says what a verified log is.
type Report struct {
	Checkpoint  *Checkpoint
	Fingerprint string // of the key that signed it
	First       int64  // records from here on are there; of those before only hashes, as the log itself says

	// Remembered is the head that this log was compared with and goes on from. nil: there was nothing to compare.
	Remembered *Checkpoint
	// Older says that this export ends before the head that is remembered, and wasn't compared with it.
	Older bool
	// Restart says that the host has restarted since: this is a new log. nil: it hasn't, as far as is remembered.
	Restart *Restart
}

// Restart is what is known of a host's log from before it restarted. Whether records followed after the head that is
// remembered only a collector can tell.
type Restart struct {
	Before *Checkpoint // the head remembered
	NewKey bool        // the host has another key now
}

// check checks a log against its own checkpoint. It also returns the hash of the tree at one size, for comparing,
// or false if the log doesn't show it.
func (e *Export) check(size int64) (r *Report, at tlog.Hash, shown bool, err error) {
	pub, err := x509.ParsePKIXPublicKey(e.Key)
	if err != nil {
		return nil, at, false, fmt.Errorf("audit: the log's key: %w", err)
	}
	c, err := OpenCheckpoint(e.Head.Note, func(origin string) (note.Verifier, error) { return NewVerifier(origin, pub) })
	if err != nil {
		return nil, at, false, err
	}
	f, err := newFrontier(e.Head.First, e.Head.Prefix)
	if err != nil {
		return nil, at, false, err
	}
	if have := e.Head.First + int64(len(e.Record)); have != c.Tree.N {
		return nil, at, false, tampered("it has %d records where the signed head has %d: some are missing at its end, or too many", have, c.Tree.N)
	}
	look := func() {
		if f.n == size && f.n > 0 {
			at, shown = f.root(), true
		}
	}
	look()
	dropped := e.Head.First == 0
	for i, line := range e.Record {
		rec, err := ParseRecord(line)
		if err != nil {
			return nil, at, false, err
		}
		if want := e.Head.First + int64(i); rec.Seq != want {
			return nil, at, false, tampered("record %d is where %d should be: records were removed, added or put elsewhere", rec.Seq, want)
		}
		dropped = dropped || rec.Action == actionDrop && rec.Kind == kindEvent && rec.Last == e.Head.First-1
		f.add(tlog.RecordHash(line))
		look()
	}
	if f.root() != c.Tree.Hash {
		return nil, at, false, tampered("its records don't give the hash that the host has signed: some were edited")
	}
	if !dropped {
		return nil, at, false, tampered("records before %d are missing, and no record says that they were dropped", e.Head.First)
	}
	return &Report{Checkpoint: c, Fingerprint: string(auth.FingerprintOfSPKI(e.Key)), First: e.Head.First}, at, shown, nil
}

// Prover gets a proof from the host that its log goes on from an older head: Source's Consistency.
type Prover func(ctx context.Context, old, size int64) (tlog.TreeProof, error)

// Verify checks a log: that it is what its head says, that the key e.Key has signed that head (who trusts that key is
// the caller's affair), and that it goes on from the head that is remembered. With prove, e has been fetched from the
// host just now, and its head is remembered in place of the older one; without, e is a file.
//
// An error is ErrTampered, or ErrForgotten if the host can't prove that the log goes on from so old a head (Forget
// then begins anew), or says what is wrong with the log's form.
func (m *Memory) Verify(ctx context.Context, e *Export, prove Prover, now time.Time) (*Report, error) {
	c, err := parseCheckpoint(e.Head.Note)
	if err != nil {
		return nil, err
	}
	known, before, err := m.find(c.Origin)
	if err != nil {
		return nil, err
	}
	size := int64(0)
	if before != nil {
		size = before.Tree.N
	}
	r, at, shown, err := e.check(size)
	if err != nil {
		return nil, err
	}
	switch {
	case before == nil && prove != nil && len(m.Boots) > 0:
		last := &m.Boots[len(m.Boots)-1]
		b, err := parseCheckpoint([]byte(last.Note))
		if err != nil {
			return nil, err
		}
		r.Restart = &Restart{Before: b, NewKey: !bytes.Equal(last.Key, e.Key)}
	case before == nil:
	case !bytes.Equal(m.Boots[known].Key, e.Key):
		return nil, tampered("its head is signed by the key %s, but the boot's was %s", r.Fingerprint, auth.FingerprintOfSPKI(m.Boots[known].Key))
	case prove != nil && known != len(m.Boots)-1:
		return nil, tampered("the host shows the log of a boot that has ended: %s", c.Origin)
	case shown && at != before.Tree.Hash:
		return nil, tampered("its first %d records aren't those that were there when its head was remembered, at %s",
			size, before.Time.Format(time.RFC3339))
	case shown:
		r.Remembered = before
	case size > c.Tree.N && prove != nil:
		return nil, tampered("it has %d records, and had %d when its head was remembered, at %s", c.Tree.N, size, before.Time.Format(time.RFC3339))
	case size > c.Tree.N:
		r.Older = true
	case prove != nil:
		p, err := prove(ctx, size, c.Tree.N)
		if err != nil {
			return nil, fmt.Errorf("audit: the host doesn't prove that its log goes on from record %d, which is remembered: %w", size, err)
		}
		if err := tlog.CheckTree(p, c.Tree.N, c.Tree.Hash, size, before.Tree.Hash); err != nil {
			return nil, tampered("it doesn't go on from the head remembered, of %d records at %s", size, before.Time.Format(time.RFC3339))
		}
		r.Remembered = before
	}
	if prove != nil {
		m.remember(c.Origin, e, now)
	}
	return r, nil
}
