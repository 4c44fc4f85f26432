package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/mod/sumdb/tlog"

	"keel/cmd/keelctl/output"
	"keel/vmkernel/api"
	"keel/vmkernel/api/client"
	"keel/vmkernel/audit"
)

func (a *app) auditCommand() *cobra.Command {
	return nouns("audit", "Read the log of what was done, and check that it is whole",
		`A host's audit log has each administrative act: who, from where, what, on what, with what
result. It is a Merkle tree whose head the host signs. keelctl remembers the heads that it
has seen, and so detects whether something was edited, removed or put elsewhere since. Each
start of a host begins a new log: a restart is reported as such. It needs the role auditor
or admin.`,
		`  keelctl audit tail --follow
  keelctl audit verify
  keelctl audit export -o audit.jsonl`,
		a.auditTail(), a.auditVerify(), a.auditExport(), a.auditForwarding())
}

// auditSource is a host's log over the API, as package audit reads it.
type auditSource struct{ r *remote }

func (s auditSource) Head(ctx context.Context) (audit.Head, error) {
	var c api.AuditCheckpoint
	if err := s.r.Get(ctx, client.Path("audit", "checkpoint"), nil, &c); err != nil {
		return audit.Head{}, err
	}
	h := audit.Head{Note: []byte(c.Note), Size: c.Size, First: c.First}
	var err error
	h.Prefix, err = hashes(c.Prefix)
	return h, err
}

func (s auditSource) Read(ctx context.Context, from int64, n int) (audit.Page, error) {
	var records api.AuditRecords
	query := url.Values{"from": {strconv.FormatInt(from, 10)}, "count": {strconv.Itoa(n)}}
	if err := s.r.Get(ctx, client.Path("audit", "records"), query, &records); err != nil {
		return audit.Page{}, err
	}
	return pageOf(records), nil
}

func pageOf(records api.AuditRecords) audit.Page {
	p := audit.Page{From: records.From, Size: records.Size}
	for _, line := range records.Records {
		p.Records = append(p.Records, []byte(line))
	}
	return p
}

func (s auditSource) Consistency(ctx context.Context, old, size int64) (tlog.TreeProof, error) {
	var proof api.AuditProof
	query := url.Values{"old": {strconv.FormatInt(old, 10)}, "size": {strconv.FormatInt(size, 10)}}
	if err := s.r.Get(ctx, client.Path("audit", "proof"), query, &proof); err != nil {
		if e := (*api.Error)(nil); errors.As(err, &e) && e.Code == api.CodeNotFound {
			return nil, fmt.Errorf("%w (%w)", audit.ErrForgotten, err)
		}
		return nil, err
	}
	list, err := hashes(proof.Hashes)
	return tlog.TreeProof(list), err
}

func hashes(texts []string) (list []tlog.Hash, err error) {
	for _, text := range texts {
		h, err := tlog.ParseHash(text)
		if err != nil {
			return nil, fmt.Errorf("the host's audit log: %w", err)
		}
		list = append(list, h)
	}
	return list, nil
}

func (a *app) auditTail() *cobra.Command {
	var follow bool
	var n int64
	cmd := &cobra.Command{
		Use:   "tail",
		Short: "Show the last records of the audit log",
		Long: `Show the last records of the audit log, and with --follow those that come, until Ctrl-C.
What it shows isn't checked: ` + "`keelctl audit verify`" + ` does that. It needs the role auditor or admin.`,
		Example: `  keelctl audit tail -n 50
  keelctl audit tail --follow -o json`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return a.askOn(follow, func(ctx context.Context, r *remote) error { return a.tail(ctx, r, n, follow) })
		},
	}
	a.remoteFlags(cmd)
	a.outputFlag(cmd)
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on with the records that come")
	cmd.Flags().Int64VarP(&n, "lines", "n", 20, "how many of those that are there")
	return cmd
}

func (a *app) tail(ctx context.Context, r *remote, n int64, follow bool) error {
	p, err := a.printer()
	if err != nil {
		return err
	}
	const page = 200
	source := auditSource{r}
	call := func(from int64) (audit.Page, error) {
		short, cancel := context.WithTimeout(ctx, callTimeout)
		defer cancel()
		return source.Read(short, from, page)
	}
	first, err := call(1 << 47) // beyond its end: how many there are
	if err != nil {
		return err
	}
	next := max(first.Size-n, 0)
	show := func(records audit.Page) error {
		if records.From > next && next > 0 {
			a.note("%s are no longer kept", count(int(records.From-next), "record"))
		}
		next = records.From
		for _, line := range records.Records {
			next++
			if err := a.printRecord(p, line); err != nil {
				return err
			}
		}
		return nil
	}
	if follow {
		query := url.Values{"from": {strconv.FormatInt(next, 10)}}
		return client.Each(ctx, r.Conn, client.Path("audit", "follow"), query, func(records api.AuditRecords) error {
			return show(pageOf(records))
		})
	}
	for next < first.Size {
		records, err := call(next)
		if err != nil {
			return err
		}
		if err := show(records); err != nil {
			return err
		}
	}
	return nil
}

func (a *app) printRecord(p *output.Printer, line []byte) error {
	if p.Format != output.Table {
		return a.printLine(p.Format, json.RawMessage(line))
	}
	record, err := audit.ParseRecord(line)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(a.stdout, output.Clean(recordLine(record)))
	return err
}

// recordLine is a record for reading.
func recordLine(r *audit.Record) string {
	parts := []string{fmt.Sprintf("%6d", r.Seq), output.Time(r.Time), fmt.Sprintf("%-8s", r.Kind)}
	add := func(format string, args ...any) { parts = append(parts, fmt.Sprintf(format, args...)) }
	if r.ID != 0 {
		add("#%d", r.ID)
	}
	if r.Name != "" {
		who := r.Name
		if r.Role != "" {
			who += " (" + r.Role + ")"
		}
		add("%s", who)
	}
	if r.From != "" {
		add("from %s", r.From)
	}
	if r.Action != "" {
		add("%s", strings.TrimSpace(r.Method+" "+r.Action))
	}
	if r.On != "" {
		add("%s", r.On)
	}
	if r.Result != "" {
		add("-> %s", r.Result)
	}
	if r.Code != 0 {
		add("%d", r.Code)
	}
	if r.Cause != 0 {
		add("by #%d", r.Cause)
	}
	if r.Count != 0 {
		add("%d times since %s", r.Count, output.Time(r.Since))
		for _, s := range r.Sources {
			add("[%s: %d, %s]", s.From, s.Count, s.What)
		}
	}
	if r.Last != 0 {
		add("records %d to %d", r.First, r.Last)
	}
	if r.Detail != "" {
		add("(%s)", r.Detail)
	}
	return strings.Join(parts, "  ")
}
