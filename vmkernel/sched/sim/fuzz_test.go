package sim

import (
	"strings"
	"testing"

	"keel/vmkernel/sched"
)

// FuzzCalls has any calls made in any order, with any arguments that a caller may pass, and looks at
// all invariants after each.
func FuzzCalls(f *testing.F) {
	f.Add([]byte("C\x01\x01\x05C\x02\x00\x01W\x03P\x00B\x00P\x00W\x03P\x01"))
	f.Add([]byte("C\x01\x03\x05C\x02\x00\x01W\x03P\x00Y\x00P\x00S\x02\x30U\x03P\x00R\x03X\x01\x02A\x03\x02P\x00P\x01D\x03"))
	f.Add([]byte("C\x01\x05\x05C\x02\x00\x01C\x02\x00\x02W\x03W\x04H\x00\x04P\x01L\x03\x10P\x00"))
	verbs := []byte("OMXCDSAGURWBYHLPKQTENI")
	f.Add([]byte("C\x00\x01\x01\x05\x00\x00\x00C\x00\x01\x05\x05\x00\x00\x00C\x00\x03\x00\x05\x00\x00\x00C\x00\x03\x00\x05\x00\x00\x00W\x00\x04W\x00\x05P\x00\x00G\x01\x03\x02P\x00\x00G\x01\x03\x01"))
	f.Fuzz(func(t *testing.T, in []byte) {
		const cpus = 3
		s := newScheduler(cpus, 24, 4)
		for c := range uint32(cpus) {
			s.Online(c, 0)
		}
		now := uint64(0)
		next := func() uint64 {
			if len(in) == 0 {
				return 0
			}
			b := in[0]
			in = in[1:]
			return uint64(b)
		}
		for n := 0; len(in) > 0 && n < 400; n++ {
			o := op{verb: byte(next())}
			if _, ok := arity[o.verb]; !ok {
				o.verb = verbs[int(o.verb)%len(verbs)]
			}
			passed := next()
			now += passed % 8 * 100_000
			o.now = now
			for i := range arity[o.verb][0] {
				o.a[i] = next()
			}
			// Processors' clocks differ by a little; what is for none is done by any.
			c := passed / 8
			if strings.IndexByte("PBYHN", o.verb) >= 0 {
				c = o.a[0]
			}
			o.now -= min(o.now, c%cpus*2_000)
			switch o.verb {
			case 'C':
				o.a[1] &= 7 // the flags that a caller may set
				o.a[2] = 1 + o.a[2]*o.a[2]*15
				o.a[3] *= 8
				o.a[4] *= 16
			case 'S':
				o.a[1] = 1 + o.a[1]*o.a[1]*15
				o.a[2] *= 8
				o.a[3] *= 16
			case 'M':
				// Sets aren't changed while worlds have them.
				if s.Live() != 0 {
					continue
				}
			case 'L':
				o.a[1] *= 1000
			case 'N':
				o.a[2] = o.now - min(o.now, o.a[2]*100)
				o.a[1] = o.a[2] - min(o.a[2], o.a[1]*100)
			case 'B':
				// A processor picks after its world has blocked.
				if o.a[0] < cpus {
					apply(s, &o)
					o.verb = 'P'
				}
			}
			if inRange(s, &o) != nil {
				continue
			}
			_, until := apply(s, &o)
			if o.verb == 'P' && until <= o.now {
				t.Fatalf("call %d: a timer in the past", n)
			}
			if o.verb == 'H' && s.Current(uint32(o.a[0])) == sched.None {
				apply(s, &op{verb: 'P', now: o.now, a: o.a})
			}
			if bad := s.Check(); bad != "" {
				t.Fatalf("call %d, %c: %s", n, o.verb, bad)
			}
		}
	})
}
