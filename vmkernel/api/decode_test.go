package api

import (
	"encoding/json"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestDecodeIsStrict(t *testing.T) {
	type inner struct {
		N uint8 `json:"n"`
	}
	type body struct {
		Name  string         `json:"name"`
		Flag  bool           `json:"flag,omitempty"`
		At    *time.Time     `json:"at,omitempty"`
		Nets  []netip.Prefix `json:"nets,omitempty"`
		Inner inner          `json:"inner,omitzero"`
		Size  int64          `json:"size,omitempty"`
	}
	at := time.Date(2026, 11, 28, 19, 0, 0, 0, time.UTC)
	var got body
	want := body{"a", true, &at, []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}, inner{255}, -5}
	text := `{"name":"a","flag":true,"at":"2026-11-28T19:00:00Z","nets":["192.0.2.0/24"],"inner":{"n":255},"size":-5}`
	if err := Decode([]byte(text), &got); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v", got, err)
	}
	for _, c := range []struct{ text, message string }{
		{`{}`, `name: is missing`},
		{`{"name":null}`, `name: is null`},
		{`{"name":1}`, `name: is a number, not text`},
		{`{"name":"a","Name":"b"}`, `Name: this release of Keel doesn't know this field`},
		{`{"name":"a","inner":{"n":1,"m":2}}`, `inner.m: this release of Keel doesn't know this field`},
		{`{"name":"a","name":"b"}`, `name: is there twice`},
		{`{"name":"a","inner":{"n":256}}`, `inner.n: 256 is not a whole number that fits`},
		{`{"name":"a","inner":{"n":-1}}`, `inner.n: -1 is not`},
		{`{"name":"a","inner":{"n":1.0}}`, `inner.n: 1.0 is not`},
		{`{"name":"a","inner":{"n":1e2}}`, `inner.n: 1e2 is not`},
		{`{"name":"a","nets":{}}`, `nets: is a group of keys, not a list`},
		{`{"name":"a","nets":["x"]}`, `nets[0]: `},
		{`{"name":"a","at":"today"}`, `at: `},
		{`{"name":"a"} {}`, `the request's body line 1: `},
		{`[`, `the request's body line 1: `},
		{``, `the request's body line 1: `},
		{`"a"`, `the request's body is text, not a group of keys`},
		{"{\"name\":\"\xff\"}", `the request's body is not UTF-8 text`},
		{strings.Repeat(`[`, 20) + strings.Repeat(`]`, 20), `nested`},
	} {
		err := Decode([]byte(c.text), new(body))
		if err == nil || !strings.Contains(err.Message, c.message) || strings.Contains(err.Message, "\n") {
			t.Errorf("%s: %+v, want %s", c.text, err, c.message)
		}
		if err != nil && strings.Contains(c.message, "doesn't know") != (err.Code == CodeUnknownField) {
			t.Errorf("%s: code %s", c.text, err.Code)
		}
	}
}

func TestEachCodeHasItsStatus(t *testing.T) {
	for _, c := range []Code{CodeInvalid, CodeUnknownField, CodeDenied, CodeNotFound, CodeMethod, CodeConflict, CodeExists, CodeHeld, CodeOffset, CodeStale,
		CodeTooLarge, CodeMediaType, CodeNoMatch, CodeTooMany, CodeUnavailable, CodeCollector, CodeTimeout, CodeFull} {
		if c.Status() == 500 {
			t.Errorf("%s is a fault of Keel's", c)
		}
	}
}

func TestTheTableIsWhole(t *testing.T) {
	names := map[string]bool{}
	for _, r := range Routes {
		switch {
		case names[r.Name], names[r.Method+" "+r.Pattern]:
			t.Errorf("%s is there twice", r.Name)
		case r.Method == "GET" && r.Class != Read && r.Kind != WebSocket, r.Method == "HEAD" && r.Class != Read:
			t.Errorf("%s reads and isn't recorded so", r.Name)
		case r.Method != "GET" && r.Method != "HEAD" && r.Class == Read && r.Name != "ProveHost":
			t.Errorf("%s changes something and is recorded as a read", r.Name)
		case r.Method == "PUT" != r.Match:
			t.Errorf("%s: a PUT carries If-Match, and nothing else does", r.Name)
		case r.Kind == Raw && r.Media == "":
			t.Errorf("%s has no media type", r.Name)
		case r.Roles.Has("auditor") && r.Pattern[:9] != "/v1/audit" && r.Roles != everybody:
			t.Errorf("%s: an auditor reads the log and nothing else", r.Name)
		case r.Roles.Has("viewer") && r.Class != Read:
			t.Errorf("%s: a viewer changes something", r.Name)
		}
		names[r.Name], names[r.Method+" "+r.Pattern] = true, true
	}
}

// FuzzDecode promises that no body makes Decode panic, and that what it takes means the same when it is written again.
func FuzzDecode(f *testing.F) {
	for _, s := range []string{`{"nic":"auto","vlan":7,"addresses":["192.0.2.5/24"]}`, `{"now":"2026-11-28T19:00:00Z","servers":[]}`, `{"address":"a","bare":true}`,
		`{"name":"a","size":1,"sha256":"0"}`, `[[[[`, `{"a":{"a":{}}}`, `{"\u0000":1}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		for _, r := range Routes {
			if r.In == nil {
				continue
			}
			if _, ok := r.In.(VMSpec); ok {
				continue // package seed decodes it
			}
			one := reflect.New(reflect.TypeOf(r.In)).Interface()
			if err := Decode(text, one); err != nil {
				if err.Message == "" || err.Code.Status() != 400 {
					t.Errorf("%q: %+v", text, err)
				}
				continue
			}
			again, err := json.Marshal(one)
			if err != nil {
				t.Fatal(err)
			}
			two := reflect.New(reflect.TypeOf(r.In)).Interface()
			if err := Decode(again, two); err != nil {
				t.Errorf("%s: %q became %q: %v", r.Name, text, again, err)
			}
		}
	})
}
