package server

import (
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"time"

	"keel/vmkernel/api"
	"keel/vmkernel/api/door"
	"keel/vmkernel/audit"
	"keel/vmkernel/auth"
)

// classes are the audit log's, by the table's.
var classes = [...]audit.Class{api.Read: audit.ClassRead, api.Stop: audit.ClassStop, api.Repair: audit.ClassRepair, api.Change: audit.ClassChange}

// ruleOf is what vmkernel/auth is asked by, of a route's roles and scope.
func ruleOf(r *api.Route) auth.Rule {
	rule := auth.Rule{Scoped: r.Scope != api.Whole}
	for _, name := range r.Roles.Names() {
		rule.Roles = append(rule.Roles, auth.Role(name))
	}
	return rule
}

// ServeHTTP answers a call.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	makeRoom(0)
	s.serve(w, r)
}

// makeRoom has the stack grow once to what a call takes, while there is little on it to copy. In HTTP/2 each call has a
// new goroutine, whose stack would grow twice under it: 50,000 instructions a call, where this takes 18,000.
//
//go:noinline
func makeRoom(i int) byte {
	var room [5 << 10]byte // with what is there already, and what the runtime keeps free, more than 4 KiB and less than 8
	return room[i]
}

// serve answers a call: who it is, whether he may, the intent into the log, the act, the outcome into the log, and only
// then the answer.
func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h["Cache-Control"], h["X-Content-Type-Options"] = noStore, noSniff
	c := &call{s: s, w: w, r: r}
	c.peer, _ = r.Context().Value(peerKey{}).(*door.Peer)
	if c.peer == nil { // not by a Door: nobody is known
		c.fail(failf(api.CodeDenied, "this connection has shown no certificate"))
		return
	}
	c.id, _ = c.peer.ID.(*auth.Identity)
	caller, most := c.peer.Caller, maxCallerUses
	if c.id == nil { // or one stranger would take all that they may have
		caller, most = "from "+c.peer.Source.String(), maxStrangerUses
	}
	if !s.calls.enter(caller, most, c.peer.Admin) {
		s.count(api.CodeTooMany)
		c.fail(failf(api.CodeTooMany, "too many calls at once: the host answers %d, of one caller %d", maxCalls, most))
		return
	}
	defer s.calls.leave(caller)
	defer c.recovered()
	c.work()
	defer c.rest()

	if r.ContentLength != 0 { // refused or not, the body has to come
		c.extend(s.times.body, 0)
	}
	err := c.prepare()
	c.entry.Class = audit.ClassRead // what is refused changes nothing
	if err == nil {
		c.entry.Class = classes[c.route.Class]
	}
	if c.id == nil { // what strangers try is counted, lest they fill the log; a claim that is taken records itself
		var v any
		if err != nil {
			s.Audit.Refuse(c.peer.Source.String(), "stranger")
		} else {
			v, err = c.route.handler(c)
		}
		s.finish(c, v, err)
		return
	}
	id, refused := s.Audit.Begin(c.entry)
	if refused != nil {
		s.finish(c, nil, s.collector(refused))
		return
	}
	c.log = id
	var v any
	if err == nil {
		v, err = c.route.handler(c)
	}
	s.finish(c, v, err)
}

// prepare finds the route, and whether the caller may use it, and reads what it takes. It fills the log's entry, with an
// error as well.
func (c *call) prepare() error {
	c.entry = audit.Entry{From: c.peer.Source.String(), Method: c.r.Method, Action: "unknown"}
	if c.id != nil {
		c.entry.Who = audit.Who{Name: c.id.Name, Role: string(c.id.Role), Serial: c.id.Serial, Issuer: string(c.id.Issuer)}
		if err := c.s.Trust.Recheck(*c.id, c.s.Now()); err != nil {
			return err
		}
	}
	path := c.r.URL.EscapedPath()
	if len(path) > maxURL || len(c.r.URL.RawQuery) > maxURL {
		return failf(api.CodeTooLarge, "the path or the query has more than %d bytes", maxURL)
	}
	n, vars := c.s.routes.find(path)
	if n == nil || n.methods == nil {
		c.entry.On = path
		if c.id == nil {
			return errStranger
		}
		return failf(api.CodeNoRoute, "there is no route %s: /v1/openapi.json lists them", quote(path))
	}
	b := n.methods[c.r.Method]
	if b == nil {
		c.entry.On = path
		if c.id == nil {
			return errStranger
		}
		c.w.Header().Set("Allow", n.allowed())
		return failf(api.CodeMethod, "%s has no method %s; it has %s", quote(path), quote(c.r.Method), n.allowed())
	}
	c.route, c.vars = b, vars
	c.entry.Action, c.entry.On = b.Pattern, vars[0]
	if vars[1] != "" {
		c.entry.On += " " + vars[1]
	}
	if err := c.admit(); err != nil {
		return err
	}
	// Web pages have no business here: a browser that holds the administrator's certificate shows it for any of them.
	if site := c.r.Header.Get("Sec-Fetch-Site"); c.r.Header.Get("Origin") != "" || site != "" && site != "none" && site != "same-origin" {
		return failf(api.CodeDenied, "a web page asked for this (Origin, Sec-Fetch-Site): Keel serves none")
	}
	if err := c.readQuery(); err != nil {
		return err
	}
	if b.Match && c.r.Header.Get("If-Match") == "" {
		return failf(api.CodeNoMatch, "this needs the header If-Match with the ETag that GET %s gives", b.Pattern)
	}
	if err := c.readBody(); err != nil {
		return err
	}
	c.entry.Detail = c.detail()
	return nil
}

var errStranger = failf(api.CodeDenied, "this needs a client certificate that the host's operator CA has signed")

// admit says whether the caller may use the route at all.
func (c *call) admit() error {
	if c.route.Roles == api.Stranger {
		if !c.s.Trust.ClaimOpen() {
			return failf(api.CodeNotFound, "%s", auth.ErrNoClaim)
		}
		return nil
	}
	if c.id == nil {
		return errStranger
	}
	return c.route.rule.Admit(*c.id)
}

// detail is what the log is to hold of what was asked for, beside the route and the path.
func (c *call) detail() string {
	switch in := c.in.(type) {
	case nil:
		if c.route.Class != api.Read {
			return c.query.Encode()
		}
		return ""
	case *api.Claim, *api.HostCertificate, *api.Nonce:
		return "" // nothing that anybody would read
	case *api.NewCA:
		if ca, err := auth.ParseCA([]byte(in.Certificate)); err == nil {
			c.entry.On = string(auth.FingerprintOf(ca))
			return ca.Subject.CommonName
		}
		return ""
	case *api.VMSpec:
		c.entry.On = in.Name
		return fmt.Sprintf("id=%s cpus=%d memory=%d kernel=%s", in.ID, in.CPU.Count, in.Memory.Size, in.Boot.Direct.Kernel)
	case *api.ImageCreate:
		c.entry.On = in.Name
	}
	return string(c.body)
}

// collector is the error of a call that the log doesn't take.
func (s *Server) collector(err error) error {
	e := asError(err)
	if e.Code == api.CodeCollector {
		if f := s.Audit.Forwarding(); f.Collector != nil {
			e.Details = map[string]string{"collector": f.Collector.Address}
		}
	}
	return e
}

// finish records the outcome and answers.
func (s *Server) finish(c *call, v any, err error) {
	if err == nil {
		status := c.status
		if status == 0 && c.route.Status != 0 {
			status = c.route.Status
		}
		if status == 0 {
			status = http.StatusOK
		}
		o := audit.Outcome{Result: audit.OK, Code: status, Detail: c.outcome}
		if status == http.StatusAccepted {
			o.Result = audit.Accepted
		}
		s.end(c, o)
		s.counts[countOK].Add(1)
		if !c.began {
			c.answer(status, v)
		}
		return
	}
	e := asError(err)
	if e.Code == api.CodeInternal {
		s.Log.Error("api: a call failed", "call", c.entry.Method+" "+c.entry.Action, "user", c.entry.Who.Name, "error", err)
	}
	o := audit.Outcome{Result: audit.Failed, Code: e.Code.Status(), Detail: e.Message}
	if e.Code == api.CodeDenied {
		o.Result = audit.Denied
	}
	s.end(c, o)
	if errors.Is(err, errGone) {
		s.counts[countOK].Add(1)
		return
	}
	s.count(e.Code)
	if !c.began {
		c.fail(e)
	}
}

// end records the outcome, once.
func (s *Server) end(c *call, o audit.Outcome) {
	if c.log != 0 {
		s.Audit.End(c.log, o)
		c.log = 0
	}
}

// recovered keeps a fault of one call from ending the host.
func (c *call) recovered() {
	p := recover()
	if p == nil {
		return
	}
	if p == http.ErrAbortHandler {
		panic(p)
	}
	c.s.Log.Error("api: panic", "call", c.entry.Method+" "+c.entry.Action, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
	c.s.finish(c, nil, failf(api.CodeInternal, "a fault of Keel's: the host's log says more"))
}

// Outcomes that calls are counted by.
const (
	countOK = iota
	countDenied
	countRefused // the client's fault
	countFailed  // Keel's, or the host's
)

var outcomeNames = [...]string{"ok", "denied", "refused", "failed"}

func (s *Server) count(code api.Code) {
	switch status := code.Status(); {
	case code == api.CodeDenied:
		s.counts[countDenied].Add(1)
	case status >= 500:
		s.counts[countFailed].Add(1)
	default:
		s.counts[countRefused].Add(1)
	}
}

// extend gives the client more time: for the next piece of a long body, or of a long answer.
func (c *call) extend(read, write time.Duration) {
	rc := http.NewResponseController(c.w)
	now := time.Now()
	if read > 0 {
		rc.SetReadDeadline(now.Add(read))
	}
	if write > 0 {
		rc.SetWriteDeadline(now.Add(write))
	}
}

// patient lifts the time limits of reading, for an answer that takes long. Writing keeps its own.
func (c *call) patient() {
	rc := http.NewResponseController(c.w)
	rc.SetReadDeadline(time.Time{})
	rc.SetWriteDeadline(time.Time{})
}
