package server

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"reflect"
	"strconv"
	"strings"
	"time"

	"keel/vmkernel/api"
	"keel/vmkernel/api/backend"
	"keel/vmkernel/api/door"
	"keel/vmkernel/audit"
	"keel/vmkernel/auth"
)

// call is one call of a route.
type call struct {
	s     *Server
	w     http.ResponseWriter
	r     *http.Request
	peer  *door.Peer
	id    *auth.Identity // nil: a stranger
	route *bound
	vars  [maxVars]string
	query url.Values
	body  []byte
	in    any // decoded from body: a pointer to the type that the route names

	entry   audit.Entry
	log     audit.ID
	status  int    // of success; 0: the route's
	outcome string // what the log says of success; empty: nothing
	working bool   // it holds one of the server's places for work
	began   bool   // the answer is under way: an error can't be said any more
}

// handler serves a route. What it returns becomes the answer; with an error nothing has been done.
type handler func(*call) (any, error)

func (c *call) ctx() context.Context { return c.r.Context() }

// var_ is the value of a pattern's variable.
func (c *call) variable(name string) string {
	for i, v := range c.route.vars {
		if v == name {
			return c.vars[i]
		}
	}
	return ""
}

// sees says whether the caller may know of a VM with these labels.
func (c *call) sees(labels map[string]string) bool { return c.id != nil && c.id.Sees(labels) }

// scoped says whether the caller's role is limited to some VMs.
func (c *call) scoped() bool { return c.id == nil || len(c.id.Scope) > 0 }

// find returns the VM that the path names, for a caller who may know of it.
func (c *call) find() (backend.VM, error) {
	ref := c.variable("vm")
	v, err := c.s.VMs.Find(ref)
	if err == nil {
		if spec, _ := v.Spec(); c.sees(spec.Labels) {
			return v, nil
		}
	} else if e := asError(err); e.Code != api.CodeNotFound {
		return nil, err
	}
	return nil, c.unknown()
}

// among says, after what isn't there, among what it was looked for.
func (c *call) among() string {
	if c.id == nil || len(c.id.Scope) == 0 {
		return ""
	}
	return " among those that " + c.id.Name + ", " + c.id.Grant.String() + ", may see"
}

// work takes one of the places for calls that compute; rest gives it back before the call waits for something.
func (c *call) work() {
	c.s.work <- struct{}{}
	c.working = true
}

func (c *call) rest() {
	if c.working {
		c.working = false
		<-c.s.work
	}
}

// readQuery checks the query's parameters against the route's.
func (c *call) readQuery() error {
	raw := c.r.URL.RawQuery
	if raw == "" {
		return nil
	}
	q, err := url.ParseQuery(raw)
	if err != nil {
		return failf(api.CodeInvalid, "the query can't be read: %s", err)
	}
	for name, values := range q {
		p := c.param(name)
		switch {
		case p == nil:
			return &api.Error{Code: api.CodeUnknownField, Message: quote(name) + ": this release of Keel doesn't know this parameter here", Details: map[string]string{"field": name}}
		case len(values) > 1:
			return failf(api.CodeInvalid, "parameter %s is there twice", name)
		case !fits(p.Type, values[0]):
			return failf(api.CodeInvalid, "parameter %s: %s is no %s", name, quote(values[0]), p.Type)
		}
	}
	c.query = q
	return nil
}

func (c *call) param(name string) *api.Param {
	for i := range c.route.Query {
		if c.route.Query[i].Name == name {
			return &c.route.Query[i]
		}
	}
	return nil
}

func fits(kind, value string) bool {
	var err error
	switch kind {
	case "integer":
		_, err = strconv.ParseInt(value, 10, 64)
	case "boolean":
		if value != "true" && value != "false" {
			return false
		}
	case "duration":
		var d time.Duration
		d, err = time.ParseDuration(value)
		return err == nil && d >= 0
	}
	return err == nil
}

// integer, boolean and duration read a parameter, which has been checked.
func (c *call) integer(name string, absent int64) int64 {
	if n, err := strconv.ParseInt(c.query.Get(name), 10, 64); err == nil {
		return n
	}
	return absent
}

func (c *call) boolean(name string, absent bool) bool {
	if v := c.query.Get(name); v != "" {
		return v == "true"
	}
	return absent
}

func (c *call) duration(name string, absent, most time.Duration) time.Duration {
	if d, err := time.ParseDuration(c.query.Get(name)); err == nil {
		return min(d, most)
	}
	return min(absent, most)
}

// readBody reads and decodes what the route takes.
func (c *call) readBody() error {
	media, given := c.r.Header["Content-Type"]
	if c.r.Header.Get("Content-Encoding") != "" {
		return failf(api.CodeMediaType, "the body is encoded (Content-Encoding): send it as it is")
	}
	switch {
	case c.route.Kind == api.Upload:
		if !given || !isMedia(media[0], "application/octet-stream") {
			return failf(api.CodeMediaType, "the Content-Type has to be application/octet-stream")
		}
		return nil
	case c.route.In == nil:
		if c.r.ContentLength == 0 {
			return nil
		}
		if n, _ := io.ReadFull(c.r.Body, make([]byte, 1)); n > 0 {
			return failf(api.CodeInvalid, "%s %s takes no body", c.route.Method, c.route.Pattern)
		}
		return nil
	case !given || !isMedia(media[0], "application/json"):
		return failf(api.CodeMediaType, "the Content-Type has to be application/json")
	case c.r.ContentLength > maxBody:
		return tooLarge()
	}
	c.rest() // a body takes as long as its sender likes
	text, err := io.ReadAll(io.LimitReader(c.r.Body, maxBody+1))
	c.work()
	switch {
	case err != nil:
		return failf(api.CodeTimeout, "the body didn't come within %s", c.s.times.body)
	case len(text) > maxBody:
		return tooLarge()
	}
	c.body = text
	return c.decode()
}

func tooLarge() error {
	return failf(api.CodeTooLarge, "the body has more than %d bytes", maxBody)
}

func isMedia(given, want string) bool {
	if given == want {
		return true
	}
	t, params, err := mime.ParseMediaType(given)
	charset, has := params["charset"]
	return err == nil && t == want && (!has || strings.EqualFold(charset, "utf-8"))
}

// decode makes in of body.
func (c *call) decode() error {
	switch c.route.In.(type) {
	case api.VMSpec:
		spec, err := c.decodeVM(c.body)
		if err != nil {
			return err
		}
		c.in = spec
		return nil
	case api.PoolPolicy:
		policy, err := decodePool(c.body)
		if err != nil {
			return err
		}
		c.in = policy
		return nil
	}
	in := reflect.New(reflect.TypeOf(c.route.In)).Interface()
	if err := api.Decode(c.body, in); err != nil {
		return err
	}
	c.in = in
	return nil
}

// match says whether If-Match allows a change of what has this ETag.
func (c *call) match(tag string) error {
	given := c.r.Header.Get("If-Match")
	if given == "" || given == "*" {
		return nil // that there must be one, dispatch has seen to
	}
	for t := range strings.SplitSeq(given, ",") {
		if strings.TrimSpace(t) == tag {
			return nil
		}
	}
	return failf(api.CodeStale, "it has changed since it was read: it has the ETag %s, not %s: read it again and change that", tag, quote(given))
}

// tag gives the answer an ETag.
func (c *call) tag(t string) { c.w.Header().Set("ETag", t) }

// answer writes JSON.
func (c *call) answer(status int, v any) {
	h := c.w.Header()
	if v == nil {
		c.w.WriteHeader(status)
		return
	}
	text, err := json.Marshal(v)
	if err != nil {
		c.s.Log.Error("api: an answer that JSON doesn't have", "route", c.route.Pattern, "error", err)
		http.Error(c.w, `{"error":{"code":"internal","message":"a fault of Keel's"}}`, http.StatusInternalServerError)
		return
	}
	text = append(text, '\n')
	h["Content-Type"] = mediaJSON
	h["Content-Length"] = []string{strconv.Itoa(len(text))}
	c.w.WriteHeader(status)
	c.w.Write(text)
}

// Header values that every answer shares, so that none is allocated.
var (
	mediaJSON = []string{"application/json"}
	noStore   = []string{"no-store"}
	noSniff   = []string{"nosniff"}
)

// fail writes an error.
func (c *call) fail(e *api.Error) {
	if e.Code == api.CodeTooMany {
		c.w.Header().Set("Retry-After", "1")
	}
	c.answer(e.Code.Status(), api.ErrorBody{Error: e})
}

// errGone is what a stream ends with when its client has gone, or may no longer be there.
var errGone = errors.New("the client has gone")
