package audit

import (
	"context"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"
)

// Limits of one answer of Read.
const (
	maxPage      = 1000
	maxPageBytes = 256 << 10
)

// Head is what a client needs to check the records that the log still has: a checkpoint, and the hashes of the complete
// subtrees of the records before them.
type Head struct {
	Note   []byte      // the signed checkpoint
	Size   int64       // records
	First  int64       // the first record whose data the log still has
	Prefix []tlog.Hash // of records [0, First), the largest subtree first: one for each bit of First
}

// Head returns the log's head. Records from First on may have been dropped when Read asks for them: then another
// Head says so.
func (l *Log) Head() (Head, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	signed, err := l.checkpoint()
	if err != nil {
		return Head{}, err
	}
	l.tree.handOut()
	h := Head{Note: signed, Size: l.tree.n, First: l.store.first()}
	h.Prefix, err = l.tree.prefix(h.First)
	return h, err
}

// Page is a run of records.
type Page struct {
	From    int64    // number of the first one: more than was asked for if those before it have been dropped
	Size    int64    // records that the log has had so far
	Records [][]byte // each as it was hashed, a line of JSON without its end
}

// Read returns up to n records from number from on, or as many as one answer may hold.
func (l *Log) Read(from int64, n int) Page {
	l.mu.Lock()
	defer l.mu.Unlock()
	p := Page{From: max(from, l.store.first()), Size: l.tree.n}
	bytes := 0
	for seq := p.From; seq < p.Size && len(p.Records) < min(n, maxPage) && bytes < maxPageBytes; {
		c := l.store.find(seq)
		for ; seq < c.next() && len(p.Records) < min(n, maxPage) && bytes < maxPageBytes; seq++ {
			r := c.record(seq)
			p.Records = append(p.Records, append([]byte(nil), r...))
			bytes += len(r)
		}
	}
	return p
}

// Wait returns once the log has more than size records, or with ctx's error.
func (l *Log) Wait(ctx context.Context, size int64) error {
	for {
		l.mu.Lock()
		if l.tree.n > size {
			l.mu.Unlock()
			return nil
		}
		if l.closed {
			l.mu.Unlock()
			return ErrClosed
		}
		if l.grown == nil {
			l.grown = make(chan struct{})
		}
		grown := l.grown
		l.mu.Unlock()
		select {
		case <-grown:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Consistency proves that the log of size records goes on from that of old records (RFC 6962, 2.1.2; tlog.CheckTree).
// The error is ErrForgotten if so old a head can't be proved any more.
func (l *Log) Consistency(old, size int64) (tlog.TreeProof, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if old < 1 || old > size || size > l.tree.n {
		return nil, fmt.Errorf("audit: the log has %d records: no proof leads from %d to %d", l.tree.n, old, size)
	}
	return tlog.ProveTree(size, old, &l.tree)
}

// Inclusion proves that the log of size records has record seq (RFC 6962, 2.1.1; tlog.CheckRecord): for one that a
// collector has, say. The error is ErrForgotten for a record too old.
func (l *Log) Inclusion(seq, size int64) (tlog.RecordProof, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if seq < 0 || seq >= size || size > l.tree.n {
		return nil, fmt.Errorf("audit: the log has %d records: no proof shows record %d among %d", l.tree.n, seq, size)
	}
	return tlog.ProveRecord(size, seq, &l.tree)
}
