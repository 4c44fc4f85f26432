package audit

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// originPrefix begins each log's origin: keel/audit/HOST/BOOT.
const originPrefix = "keel/audit/"

// maxNote bounds a signed checkpoint, bytes.
const maxNote = 2048

// Checkpoint is a log's signed head. Its text is that of C2SP's tlog-checkpoint:
//
//	keel/audit/keel-1/5f2c8f0e-…    the origin: host and boot
//	1234                            records
//	nND/nri/U0xuHUrYSy0HtMeal2v…    the tree's hash, base64
//	time 2026-11-28T18:51:23.000000Z
//
// and a blank line and the signature follow. Further lines are ignored.
type Checkpoint struct {
	Origin string
	Tree   tlog.Tree
	Time   time.Time // when it was signed, by the host's clock
	Note   []byte    // as signed
}

// Origin returns the origin of the log of a host's boot.
func Origin(host, boot string) (string, error) {
	for _, part := range []string{host, boot} {
		if part == "" || len(part) > 63 || strings.Trim(part, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
			return "", fmt.Errorf("audit: %q can't be part of a log's name: give [a-z0-9-]{1,63}", part)
		}
	}
	return originPrefix + host + "/" + boot, nil
}

// SplitOrigin is the inverse of Origin.
func SplitOrigin(origin string) (host, boot string, err error) {
	rest, ok := strings.CutPrefix(origin, originPrefix)
	host, boot, _ = strings.Cut(rest, "/")
	if o, err := Origin(host, boot); !ok || err != nil || o != origin {
		return "", "", fmt.Errorf("audit: %q isn't the name of a Keel log", origin)
	}
	return host, boot, nil
}

// Checkpoint signs the log's head. It signs anew only once the log has grown: that is when somebody asks or the
// forwarder ends a connection, never for each record. A proof that later logs go on from it stays possible (tree.go).
func (l *Log) Checkpoint() ([]byte, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	signed, err := l.checkpoint()
	if err == nil {
		l.tree.handOut()
	}
	return signed, err
}

// checkpoint is Checkpoint under the lock, for one that no client remembers.
func (l *Log) checkpoint() ([]byte, error) {
	if l.signedN == l.tree.n {
		return l.signed, nil
	}
	text := fmt.Sprintf("%s\n%d\n%s\ntime %s\n", l.origin, l.tree.n, l.tree.root(), l.now().UTC().Format(timeFormat))
	n, err := note.Sign(&note.Note{Text: text}, l.signer)
	if err != nil {
		return nil, fmt.Errorf("audit: signing a checkpoint: %w", err)
	}
	l.signed, l.signedN = n, l.tree.n
	return n, nil
}

// errCheckpoint is what's wrong with text that isn't a checkpoint's.
var errCheckpoint = errors.New("audit: this isn't a checkpoint of a Keel log")

// OpenCheckpoint parses a signed checkpoint and checks its signature with the verifier that v returns for its origin.
func OpenCheckpoint(signed []byte, v func(origin string) (note.Verifier, error)) (*Checkpoint, error) {
	c, err := parseCheckpoint(signed)
	if err != nil {
		return nil, err
	}
	verifier, err := v(c.Origin)
	if err != nil {
		return nil, err
	}
	if _, err := note.Open(signed, note.VerifierList(verifier)); err != nil {
		return nil, fmt.Errorf("audit: the checkpoint of %s isn't signed by the key that is trusted: %w", c.Origin, err)
	}
	return c, nil
}

// parseCheckpoint parses a checkpoint without checking its signature.
func parseCheckpoint(signed []byte) (*Checkpoint, error) {
	if len(signed) > maxNote {
		return nil, errCheckpoint
	}
	text, _, ok := strings.Cut(string(signed), "\n\n")
	lines := strings.Split(text, "\n")
	if !ok || len(lines) < 4 {
		return nil, errCheckpoint
	}
	if _, _, err := SplitOrigin(lines[0]); err != nil {
		return nil, err
	}
	c := &Checkpoint{Origin: lines[0], Note: signed}
	n, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil || n < 1 || n > maxSize || strconv.FormatInt(n, 10) != lines[1] {
		return nil, fmt.Errorf("%w: its size is %q", errCheckpoint, lines[1])
	}
	h, err := tlog.ParseHash(lines[2])
	if err != nil || h.String() != lines[2] {
		return nil, fmt.Errorf("%w: its hash is %q", errCheckpoint, lines[2])
	}
	at, ok := strings.CutPrefix(lines[3], "time ")
	if c.Time, err = time.Parse(timeFormat, at); !ok || err != nil {
		return nil, fmt.Errorf("%w: its time is %q", errCheckpoint, lines[3])
	}
	c.Tree = tlog.Tree{N: n, Hash: h}
	return c, nil
}

// maxSize bounds a log's records, so that arithmetic on sizes can't wrap.
const maxSize = 1 << 48
