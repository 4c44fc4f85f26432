package seed

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// object reads the keys of one Object node. Each method marks the keys that it is asked for as known and records what
// is wrong with their values; done then refuses the keys that nobody asked for. The zero node (n == nil) is an absent
// group, whose keys all have their defaults.
type object struct {
	d         *Decoder
	n         *Node
	pos, path string // of n, or where it would be
	bad       bool   // n is no Object, which was said: nothing in it is missed
	known     []string
	later     []string // of Later: as if they weren't there, until done refuses them
}

// object opens n, which has to be an Object.
func (d *Decoder) object(n *Node) *object {
	o := &object{d: d, n: n, pos: n.Pos, path: n.Path}
	if n.Kind != Object {
		d.wrongKind(n, Object)
		o.n, o.bad = nil, true
	}
	return o
}

// maxProblems bounds what is said of one part of a hostile document.
const maxProblems = 100

// fail records a fault of n.
func (d *Decoder) fail(n *Node, format string, args ...any) {
	if len(d.problems) >= maxProblems {
		return
	}
	d.problems = append(d.problems, &Error{n.Pos, n.Path, fmt.Sprintf(format, args...)})
}

func (d *Decoder) wrongKind(n *Node, want Kind) {
	switch {
	case n.Kind == Null:
		d.fail(n, "has no value: give one or leave the key out")
	case want == String && (n.Kind == Number || n.Kind == Bool):
		d.fail(n, "%s is not text: put it in quotes", brief(n))
	case n.Kind == List || n.Kind == Object:
		d.fail(n, "is %s, not %s", n.Kind, want)
	default:
		d.fail(n, "%s is not %s", brief(n), want)
	}
}

// brief is n's value for a message.
func brief(n *Node) string {
	if n.Kind == String || !plain(n.Text) {
		return quote(n.Text)
	}
	return n.Text
}

// get returns the value of a key, or nil if it is absent.
func (o *object) get(key string) *Node {
	if o.isLater(key) {
		return nil
	}
	if !slices.Contains(o.known, key) {
		o.known = append(o.known, key)
	}
	if o.n == nil {
		return nil
	}
	return o.n.Get(key)
}

// require is get for a key that has to be there; what says what to give.
func (o *object) require(key, what string) *Node {
	n := o.get(key)
	if n == nil && !o.bad {
		o.d.fail(&Node{Pos: o.pos, Path: Key(o.path, key)}, "is missing: give %s", what)
	}
	return n
}

// in says which group of Later o is, before anything of it is read.
func (o *object) in(group string) *object {
	o.later = Later[group]
	return o
}

func (o *object) isLater(key string) bool { return slices.Contains(o.later, key) }

// done refuses what is left.
func (o *object) done() {
	if o.n == nil {
		return
	}
	for i, key := range o.n.Keys {
		switch {
		case slices.Contains(o.known, key):
		case slices.Contains(o.later, key):
			o.d.fail(o.n.Items[i], "%q is not in this version of Keel: leave it out", key)
		case len(o.known) == 0:
			o.d.fail(o.n.Items[i], "unknown key")
		default:
			o.d.fail(o.n.Items[i], "unknown key; the keys here are %s", strings.Join(o.known, ", "))
		}
	}
}

// group opens the Object of a key.
func (o *object) group(key string) *object {
	if n := o.get(key); n != nil {
		return o.d.object(n)
	}
	return &object{d: o.d, pos: o.pos, path: Key(o.path, key), bad: o.bad}
}

// list returns the elements of a key's List.
func (o *object) list(key string, most int) []*Node {
	n := o.get(key)
	switch {
	case n == nil:
		return nil
	case n.Kind != List:
		o.d.wrongKind(n, List)
		return nil
	case len(n.Items) > most:
		o.d.fail(n, "has %d entries; at most %d are possible", len(n.Items), most)
		return nil
	}
	return n.Items
}

// text returns the text of n, and whether it is text.
func (d *Decoder) text(n *Node) (string, bool) {
	if n == nil {
		return "", false
	}
	if n.Kind != String {
		d.wrongKind(n, String)
		return "", false
	}
	return n.Text, true
}

// choice reads a key whose value is one of the allowed texts; the first is the default.
func (o *object) choice(key string, allowed ...string) string {
	n := o.get(key)
	if n == nil {
		return allowed[0]
	}
	return o.d.oneOf(n, allowed...)
}

// oneOf reads one of the allowed texts.
func (d *Decoder) oneOf(n *Node, allowed ...string) string {
	s, ok := d.text(n)
	if ok && !slices.Contains(allowed, s) {
		d.fail(n, "%s is not possible; give %s", brief(n), strings.Join(allowed, " or "))
	}
	return s
}

func (o *object) boolean(key string, absent bool) bool {
	n := o.get(key)
	if n == nil {
		return absent
	}
	if n.Kind != Bool {
		o.d.wrongKind(n, Bool)
	}
	return n.Text == "true"
}

func (o *object) integer(key string, absent, low, high int64) int64 {
	n := o.get(key)
	if n == nil {
		return absent
	}
	return o.d.integer(n, low, high)
}

// integer reads a whole number of low..high.
func (d *Decoder) integer(n *Node, low, high int64) int64 {
	if n.Kind != Number {
		d.wrongKind(n, Number)
		return low
	}
	// Out of range of 64 bits, ParseInt returns the nearest, which is out of low..high too.
	v, err := strconv.ParseInt(n.Text, 10, 64)
	switch {
	case errors.Is(err, strconv.ErrSyntax):
		d.fail(n, "%s is not a whole number", brief(n))
	case v < low:
		d.fail(n, "%s is below the minimum of %d", brief(n), low)
	case v > high:
		d.fail(n, "%s is above the maximum of %d", brief(n), high)
	default:
		return v
	}
	return low
}

// duration reads a text such as "30s", from 0 to MaxDuration.
func (o *object) duration(key string, absent time.Duration) Duration {
	n := o.get(key)
	if n == nil {
		return Duration(absent)
	}
	return Duration(o.d.duration(n, MaxDuration))
}

// duration reads a text such as "30s", from 0 to most.
func (d *Decoder) duration(n *Node, most time.Duration) time.Duration {
	if n.Kind == Number {
		d.fail(n, "%s has no unit; write it as in 30s, 5m or 1h30m", brief(n))
		return 0
	}
	s, ok := d.text(n)
	if !ok {
		return 0
	}
	v, err := time.ParseDuration(s)
	switch {
	case err != nil:
		d.fail(n, "%s is not a duration; write it as in 30s, 5m or 1h30m", brief(n))
	case v < 0:
		d.fail(n, "%s is below the minimum of 0s", brief(n))
	case v > most:
		d.fail(n, "%s is above the maximum of %s", brief(n), most)
	}
	return v
}
