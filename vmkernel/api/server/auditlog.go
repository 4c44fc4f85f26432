package server

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"

	"golang.org/x/mod/sumdb/tlog"

	"keel/vmkernel/api"
	"keel/vmkernel/audit"
)

func getCheckpoint(c *call) (any, error) {
	head, err := c.s.Audit.Head()
	if err != nil {
		return nil, err
	}
	return api.AuditCheckpoint{Boot: c.s.Audit.Boot(), Note: string(head.Note), Size: head.Size, First: head.First, Prefix: hashes(head.Prefix)}, nil
}

func hashes(list []tlog.Hash) []string {
	out := make([]string, len(list))
	for i, h := range list {
		out[i] = base64.StdEncoding.EncodeToString(h[:])
	}
	return out
}

func getRecords(c *call) (any, error) {
	from, count := c.integer("from", 0), c.integer("count", 1000)
	if from < 0 || count < 1 {
		return nil, failf(api.CodeInvalid, "records from %d on, %d of them: there are none", from, count)
	}
	return c.s.records(from, int(min(count, 1000))), nil
}

// records are those of the log from a number on, at most so many.
func (s *Server) records(from int64, count int) api.AuditRecords {
	page := s.Audit.Read(from, count)
	out := api.AuditRecords{Boot: s.Audit.Boot(), From: page.From, Size: page.Size, Records: make([]string, len(page.Records))}
	for i, r := range page.Records {
		out.Records[i] = string(r)
	}
	return out
}

// followRecords sends records as they come: one call, which is in the log once, where asking again and again would
// make a record of each time it was asked.
func followRecords(c *call) (any, error) {
	next := c.integer("from", -1)
	if next < 0 {
		next = c.s.Audit.Read(0, 0).Size
	}
	c.rest()
	c.begin(mediaLines)
	flusher := http.NewResponseController(c.w)
	out := json.NewEncoder(c.w)
	for {
		c.extend(0, c.s.times.write)
		page := c.s.records(next, streamed)
		var err error
		if len(page.Records) > 0 {
			next = page.From + int64(len(page.Records))
			err = out.Encode(page)
		} else {
			_, err = c.w.Write([]byte("\n"))
		}
		if err != nil || flusher.Flush() != nil {
			return nil, errGone
		}
		wait, cancel := context.WithTimeout(c.ctx(), heartbeat)
		stop := context.AfterFunc(c.s.ctx, cancel)
		err = c.s.Audit.Wait(wait, next)
		stop()
		cancel()
		if errors.Is(err, audit.ErrClosed) || c.ctx().Err() != nil || c.s.ctx.Err() != nil {
			return nil, errGone
		}
	}
}

func getProof(c *call) (any, error) {
	size, old, record := c.integer("size", -1), c.integer("old", -1), c.integer("record", -1)
	if size < 0 || (old < 0) == (record < 0) {
		return nil, failf(api.CodeInvalid, "give size, and either old or record")
	}
	var proof []tlog.Hash
	var err error
	if old >= 0 {
		proof, err = c.s.Audit.Consistency(old, size)
	} else {
		proof, err = c.s.Audit.Inclusion(record, size)
	}
	switch {
	case errors.Is(err, audit.ErrForgotten):
		return nil, failf(api.CodeNotFound, "%s", err)
	case err != nil:
		return nil, failf(api.CodeInvalid, "%s", err)
	}
	return api.AuditProof{Boot: c.s.Audit.Boot(), Hashes: hashes(proof)}, nil
}

func getForwarding(c *call) (any, error) {
	f := c.s.Audit.Forwarding()
	out := api.AuditForwardingStatus{Connected: f.Connected, Confirmed: f.Confirmed, Size: f.Size, Since: f.Since.UTC()}
	if f.Since.IsZero() {
		out.Since = f.Since
	}
	if f.Err != nil {
		out.Error = f.Err.Error()
	}
	if f.Collector != nil {
		out.Config = api.AuditForwarding(*f.Collector)
	}
	c.tag(tagOf(out.Config))
	return out, nil
}

func setForwarding(c *call) (any, error) {
	c.s.changing.Lock()
	defer c.s.changing.Unlock()
	var now api.AuditForwarding
	if f := c.s.Audit.Forwarding(); f.Collector != nil {
		now = api.AuditForwarding(*f.Collector)
	}
	if err := c.match(tagOf(now)); err != nil {
		return nil, err
	}
	var collector *audit.Collector
	if in := c.in.(*api.AuditForwarding); *in != (api.AuditForwarding{}) {
		next := audit.Collector(*in)
		if err := next.Check(); err != nil {
			return nil, failf(api.CodeInvalid, "%s", err)
		}
		collector = &next
	}
	if err := c.s.Audit.Forward(collector); err != nil {
		return nil, failf(api.CodeInvalid, "%s", err)
	}
	c.s.hostEvent("audit.forwarding", "", map[string]string{"by": c.id.Name})
	return getForwarding(c)
}
