package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/mod/sumdb/tlog"

	"keel/cmd/keelctl/config"
	"keel/cmd/keelctl/exit"
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
	p := audit.Page{From: records.From, Size: records.Size}
	for _, line := range records.Records {
		p.Records = append(p.Records, []byte(line))
	}
	return p, nil
}

func (s auditSource) Consistency(ctx context.Context, old, size int64) (tlog.TreeProof, error) {
	var proof api.AuditProof
	query := url.Values{"old": {strconv.FormatInt(old, 10)}, "size": {strconv.FormatInt(size, 10)}}
	if err := s.r.Get(ctx, client.Path("audit", "proof"), query, &proof); err != nil {
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
			limit := callTimeout
			if follow {
				limit = 0
			}
			return a.ask(limit, func(ctx context.Context, r *remote) error {
				return a.followed(follow, a.tail(ctx, r, n, follow))
			})
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
	const page, interval = 200, time.Second
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
	for {
		records, err := call(next)
		if err != nil {
			return err
		}
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
		if next < records.Size {
			continue
		}
		if !follow {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(interval):
		}
	}
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
		add("%s", r.Action)
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

// memory reads what is remembered of a host's log.
func memory(c *config.Context, host string) (*audit.Memory, error) {
	text, err := os.ReadFile(c.CheckpointFile(host))
	if os.IsNotExist(err) {
		return &audit.Memory{}, nil
	}
	if err != nil {
		return nil, err
	}
	m, err := audit.ParseMemory(text)
	return m, inFile(c.CheckpointFile(host), err)
}

func remember(c *config.Context, host string, m *audit.Memory) error {
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	return config.Write(c.CheckpointFile(host), append(text, '\n'))
}

// fetchAudit gets a host's log. The key that has to have signed it is the one that the host was recognised by.
func fetchAudit(ctx context.Context, r *remote) (*audit.Export, error) {
	if _, err := r.Handshake(ctx); err != nil {
		return nil, err
	}
	return audit.Fetch(ctx, auditSource{r}, r.PeerKey())
}

func (a *app) auditVerify() *cobra.Command {
	var file string
	var forget bool
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Check that nothing of the audit log was changed",
		Long: `Fetch a host's audit log and check it: that it is what the host's key has signed, and that
it goes on from the head that was seen last. The new head is remembered. If something was
edited, removed or put elsewhere, it says what and exits with 1; if the host has restarted
since, it says so. With --file an exported log is checked instead.

What happened between the head that is remembered and a restart only a collector knows:
keelctl audit forwarding. It needs the role auditor or admin.`,
		Example: `  keelctl audit verify
  keelctl audit verify --file audit.jsonl`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if file != "" {
				return a.verifyFile(file)
			}
			return a.ask(waitTimeout, func(ctx context.Context, r *remote) error {
				m, err := memory(r.context, r.host.Name)
				if err != nil {
					return err
				}
				if forget {
					m.Forget()
				}
				e, err := fetchAudit(ctx, r)
				if err != nil {
					return err
				}
				report, err := m.Verify(ctx, e, auditSource{r}.Consistency, a.now())
				if err != nil {
					return a.explain(r.host.Name, err)
				}
				if err := remember(r.context, r.host.Name, m); err != nil {
					return err
				}
				return a.printReport(r.host.Name, report)
			})
		},
	}
	a.remoteFlags(cmd)
	a.outputFlag(cmd)
	cmd.Flags().StringVar(&file, "file", "", "check an exported log")
	cmd.MarkFlagFilename("file")
	cmd.Flags().BoolVar(&forget, "forget", false, "forget what was seen before, and take this log on trust")
	return cmd
}

// explain adds what can be done to what is wrong with a log.
func (a *app) explain(host string, err error) error {
	err = fmt.Errorf("%s: %w", host, err)
	if errors.Is(err, audit.ErrForgotten) {
		return fmt.Errorf("%w\nkeelctl: What is remembered is too old to compare with. `keelctl audit verify --forget` begins anew", err)
	}
	return err
}

func (a *app) verifyFile(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	e, err := audit.ReadExport(f)
	if err != nil {
		return inFile(name, err)
	}
	m, host := &audit.Memory{}, name
	if c, h, err := a.target(); err == nil { // of the host it may be; none is needed
		if m, err = memory(c, h.Name); err != nil {
			return err
		}
	}
	report, err := m.Verify(a.ctx, e, nil, a.now())
	if err != nil {
		return a.explain(host, err)
	}
	return a.printReport(host, report)
}

// verified is a report as it is printed.
type verified struct {
	Origin      string    `json:"origin"`
	Records     int64     `json:"records"`
	First       int64     `json:"first"`
	Hash        string    `json:"hash"`
	Signed      time.Time `json:"signed"`
	Key         string    `json:"key"`
	ComparedTo  int64     `json:"comparedTo,omitempty"` // records of the head that was remembered
	Restarted   bool      `json:"restarted"`
	RecordsThen int64     `json:"recordsBeforeRestart,omitempty"`
}

func (a *app) printReport(host string, report *audit.Report) error {
	c := report.Checkpoint
	v := verified{Origin: c.Origin, Records: c.Tree.N, First: report.First, Hash: c.Tree.Hash.String(), Signed: c.Time, Key: report.Fingerprint}
	if report.Remembered != nil {
		v.ComparedTo = report.Remembered.Tree.N
	}
	if report.Restart != nil {
		v.Restarted, v.RecordsThen = true, report.Restart.Before.Tree.N
	}
	return a.print(v, func(r *output.Rows) {
		r.Line("%s: the audit log is whole: %s, signed at %s", host, count(int(c.Tree.N), "record"), output.Time(c.Time))
		r.Field("log", c.Origin)
		r.Field("signed by", report.Fingerprint)
		switch {
		case report.Restart != nil:
			r.Field("restarted", fmt.Sprintf("this is a new log. Of the one before %s were seen, up to %s; whether more followed only a collector can say",
				count(int(report.Restart.Before.Tree.N), "record"), output.Time(report.Restart.Before.Time)))
		case report.Older:
			r.Field("compared", "with nothing: it ends before the head that is remembered")
		case report.Remembered != nil:
			r.Field("compared", fmt.Sprintf("it goes on from the %s seen at %s", count(int(report.Remembered.Tree.N), "record"), output.Time(report.Remembered.Time)))
		default:
			r.Field("compared", "with nothing: it is the first that was seen")
		}
		if report.First > 0 {
			r.Field("dropped", fmt.Sprintf("of the %s before number %d the host has only hashes, as it says itself", count(int(report.First), "record"), report.First))
		}
	})
}

func (a *app) auditExport() *cobra.Command {
	var path string
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Save the audit log, so that it can be checked anywhere",
		Long: `Save a host's audit log with its signed head, as lines of JSON: ` + "`keelctl audit verify --file`" + `
checks it, without the host. It is checked before it is saved. It needs the role auditor or admin.`,
		Example: `  keelctl audit export -o audit.jsonl
  keelctl audit export -o - | jq .`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return a.ask(waitTimeout, func(ctx context.Context, r *remote) error {
				m, err := memory(r.context, r.host.Name)
				if err != nil {
					return err
				}
				e, err := fetchAudit(ctx, r)
				if err != nil {
					return err
				}
				if _, err := m.Verify(ctx, e, auditSource{r}.Consistency, a.now()); err != nil {
					return a.explain(r.host.Name, err)
				}
				if err := remember(r.context, r.host.Name, m); err != nil {
					return err
				}
				if path == "-" {
					return e.Write(a.stdout)
				}
				f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
				if os.IsExist(err) {
					return exit.Errorf(exit.Conflict, "%s is there already and is not overwritten: give another name by -o", path)
				}
				if err != nil {
					return err
				}
				err = e.Write(f)
				if closed := f.Close(); err == nil {
					err = closed
				}
				if err == nil {
					a.note("wrote %s: %s", path, count(len(e.Record), "record"))
				}
				return err
			})
		},
	}
	a.remoteFlags(cmd)
	cmd.Flags().StringVarP(&path, "output", "o", "", "the file; - is standard output")
	cmd.MarkFlagRequired("output")
	return cmd
}
