package audit

import (
	"bufio"
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/bits"

	"golang.org/x/mod/sumdb/tlog"
)

// ExportFormat names the format of an exported log, which is lines of JSON. The first line is
//
//	{"format":"keel-audit-export/1","key":"…","checkpoint":"…","first":0,"prefix":["…"]}
//
// with the host's public key (SubjectPublicKeyInfo, DER, base64), the signed checkpoint, the number of the first record
// that follows, and the hashes of the complete subtrees of the records before it, the largest first. Each further line
// is a record as it was hashed, from number first to the checkpoint's last. So
//
//	SHA-256(0x00 ‖ line)
//
// is a record's leaf, and the tree is that of RFC 6962: anybody can check an export with a few lines of code.
const ExportFormat = "keel-audit-export/1"

// Limits of an exported log: a later version's may hold more than Budget.
const (
	maxExport       = 256 << 20 // bytes
	maxExportRecord = 1 << 20   // records
	maxHeader       = 16 << 10
)

// Export is a whole log, as far as the host still has it.
type Export struct {
	Key    []byte // SubjectPublicKeyInfo of the host's key
	Head   Head
	Record [][]byte // lines, from Head.First on
}

// Source is a host's log as a client gets it over the API.
type Source interface {
	Head(context.Context) (Head, error)
	Read(ctx context.Context, from int64, n int) (Page, error)
	Consistency(ctx context.Context, old, size int64) (tlog.TreeProof, error)
}

// errMoved says that the host drops records faster than they are fetched.
var errMoved = errors.New("audit: the host drops records faster than they can be fetched: try again")

// Fetch gets the whole log from a host whose public key is pub. It checks nothing: Memory.Verify does.
func Fetch(ctx context.Context, s Source, pub crypto.PublicKey) (*Export, error) {
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		return nil, fmt.Errorf("audit: the host's key: %w", err)
	}
	e := &Export{Key: der}
	for range 3 {
		if err = e.fetch(ctx, s); err != errMoved {
			break
		}
	}
	if err != nil {
		return nil, err
	}
	return e, nil
}

func (e *Export) fetch(ctx context.Context, s Source) error {
	h, err := s.Head(ctx)
	if err != nil {
		return err
	}
	if h.First < 0 || h.First > h.Size || h.Size-h.First > maxExportRecord {
		return fmt.Errorf("audit: the host offers records %d to %d: at most %d are fetched", h.First, h.Size, maxExportRecord)
	}
	e.Head, e.Record = h, nil
	for next := h.First; next < h.Size; {
		p, err := s.Read(ctx, next, int(min(h.Size-next, maxPage)))
		switch {
		case err != nil:
			return err
		case p.From > next:
			return errMoved
		case p.From < next || len(p.Records) == 0:
			return fmt.Errorf("audit: the host was asked for records from %d on and sent %d from %d on", next, len(p.Records), p.From)
		}
		p.Records = p.Records[:min(int64(len(p.Records)), h.Size-next)]
		e.Record = append(e.Record, p.Records...)
		next += int64(len(p.Records))
	}
	return nil
}

// header is an export's first line.
type header struct {
	Format     string      `json:"format"`
	Key        []byte      `json:"key"`
	Checkpoint string      `json:"checkpoint"`
	First      int64       `json:"first"`
	Prefix     []tlog.Hash `json:"prefix"`
}

// Write writes the log in ExportFormat.
func (e *Export) Write(w io.Writer) error {
	b := bufio.NewWriter(w)
	h := header{ExportFormat, e.Key, string(e.Head.Note), e.Head.First, e.Head.Prefix}
	if err := json.NewEncoder(b).Encode(h); err != nil {
		return err
	}
	for _, r := range e.Record {
		b.Write(r)
		b.WriteByte('\n')
	}
	return b.Flush()
}

// ReadExport parses a log in ExportFormat. It checks the format alone: Memory.Verify checks the log.
func ReadExport(r io.Reader) (*Export, error) {
	lines := bufio.NewScanner(io.LimitReader(r, maxExport))
	lines.Buffer(make([]byte, 0, 4<<10), maxHeader+maxLine)
	lines.Split(splitLines)
	if !lines.Scan() {
		if err := lines.Err(); err != nil {
			return nil, fmt.Errorf("audit: export: line 1: %w", err)
		}
		return nil, errors.New("audit: export: it is empty")
	}
	d := json.NewDecoder(bytes.NewReader(lines.Bytes()))
	var h header
	if err := d.Decode(&h); err != nil {
		return nil, fmt.Errorf("audit: export: line 1: %w", err)
	}
	if h.Format != ExportFormat {
		return nil, fmt.Errorf("audit: export: its format is %.40q: this version reads %s", h.Format, ExportFormat)
	}
	c, err := parseCheckpoint([]byte(h.Checkpoint))
	if err != nil {
		return nil, fmt.Errorf("audit: export: line 1: %w", err)
	}
	e := &Export{Key: h.Key, Head: Head{Note: c.Note, Size: c.Tree.N, First: h.First, Prefix: h.Prefix}}
	for lines.Scan() {
		if len(e.Record) == maxExportRecord {
			return nil, fmt.Errorf("audit: export: it has more than %d records", maxExportRecord)
		}
		e.Record = append(e.Record, bytes.Clone(lines.Bytes()))
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("audit: export: line %d: %w", len(e.Record)+2, err)
	}
	return e, nil
}

// splitLines splits at line feeds alone: bufio.ScanLines would take carriage returns off what was hashed.
func splitLines(data []byte, atEOF bool) (int, []byte, error) {
	if i := bytes.IndexByte(data, '\n'); i >= 0 {
		return i + 1, data[:i], nil
	}
	if atEOF && len(data) > 0 {
		return 0, nil, errors.New("the file ends within a line")
	}
	return 0, nil, nil
}

// frontier is a tree of n records by the hashes of its complete subtrees, the largest first.
type frontier struct {
	n      int64
	hashes []tlog.Hash
}

// newFrontier takes the hashes that a host or file gave for n records.
func newFrontier(n int64, hashes []tlog.Hash) (*frontier, error) {
	if n < 0 || n > maxSize || len(hashes) != bits.OnesCount64(uint64(n)) {
		return nil, fmt.Errorf("audit: %d hashes can't stand for the first %d records", len(hashes), n)
	}
	return &frontier{n, append([]tlog.Hash(nil), hashes...)}, nil
}

func (f *frontier) add(h tlog.Hash) {
	for n := f.n; n&1 == 1; n >>= 1 {
		last := len(f.hashes) - 1
		h = tlog.NodeHash(f.hashes[last], h)
		f.hashes = f.hashes[:last]
	}
	f.hashes = append(f.hashes, h)
	f.n++
}

// root is the tree's hash. There is at least one record.
func (f *frontier) root() tlog.Hash {
	last := len(f.hashes) - 1
	h := f.hashes[last]
	for i := last - 1; i >= 0; i-- {
		h = tlog.NodeHash(f.hashes[i], h)
	}
	return h
}
