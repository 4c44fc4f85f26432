package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"keel/cmd/keelctl/config"
	"keel/cmd/keelctl/exit"
	"keel/cmd/keelctl/output"
	"keel/vmkernel/audit"
	"keel/vmkernel/auth"
)

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
	var file, fingerprint string
	var forget bool
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Check that nothing of the audit log was changed",
		Long: `Fetch a host's audit log and check it: that it is what the host's key has signed, and that
it goes on from the head that was seen last. The new head is remembered. If something was
edited, removed or put elsewhere, it says what and exits with 1; if the host has restarted
since, it says so. With --file an exported log is checked instead; anybody can write one and
sign it, so give the fingerprint of the host's key, unless a log signed by it was seen before.

What happened between the head that is remembered and a restart only a collector knows:
keelctl audit forwarding. It needs the role auditor or admin.`,
		Example: `  keelctl audit verify
  keelctl audit verify --file audit.jsonl --fingerprint SHA256:...`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if file != "" {
				return a.verifyFile(file, fingerprint)
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
				return a.printReport(r.host.Name, report, true)
			})
		},
	}
	a.remoteFlags(cmd)
	a.outputFlag(cmd)
	cmd.Flags().StringVar(&file, "file", "", "check an exported log")
	cmd.Flags().StringVar(&fingerprint, "fingerprint", "", "with --file: of the key that has to have signed it")
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

func (a *app) verifyFile(name, fingerprint string) error {
	var want auth.Fingerprint
	if fingerprint != "" {
		var err error
		if want, err = auth.ParseFingerprint(fingerprint); err != nil {
			return exit.Errorf(exit.Usage, "--fingerprint: %s", err)
		}
	}
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
	if want != "" && report.Fingerprint != string(want) {
		return exit.Errorf(exit.Fault, "%s: it is signed by the key %s, and not by %s", name, report.Fingerprint, want)
	}
	known := want != "" || slices.ContainsFunc(m.Boots, func(b audit.Remembered) bool { return bytes.Equal(b.Key, e.Key) })
	return a.printReport(host, report, known)
}

// verified is a report as it is printed.
type verified struct {
	Origin      string    `json:"origin"`
	Records     int64     `json:"records"`
	First       int64     `json:"first"`
	Hash        string    `json:"hash"`
	Signed      time.Time `json:"signed"`
	Key         string    `json:"key"`
	KeyKnown    bool      `json:"keyKnown"`             // it is the host's, as far as is known here
	ComparedTo  int64     `json:"comparedTo,omitempty"` // records of the head that was remembered
	Restarted   bool      `json:"restarted"`
	RecordsThen int64     `json:"recordsBeforeRestart,omitempty"`
}

func (a *app) printReport(host string, report *audit.Report, known bool) error {
	c := report.Checkpoint
	v := verified{Origin: c.Origin, Records: c.Tree.N, First: report.First, Hash: c.Tree.Hash.String(), Signed: c.Time, Key: report.Fingerprint, KeyKnown: known}
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
		if !known {
			r.Field("but", "nothing here knows that key: compare it with the host's, or give --fingerprint")
		}
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
