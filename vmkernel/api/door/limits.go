package door

import "time"

// Limits bound what connections cost.
type Limits struct {
	HalfOpen  int // connections whose handshake isn't done
	PerSource int // of these, from one source: an IPv4 address, or the /64 of an IPv6 one
	Known     int // of these, places for sources from which somebody known has come lately

	Open      int // connections of known callers
	ForAdmins int // of these, the last are for administrators
	PerCaller int // of one caller
	Strangers int // connections without a certificate, while there is a claim; one more takes another's place

	HelloTime     time.Duration // from the connection to its ClientHello
	HandshakeTime time.Duration // to the handshake's end

	// HandshakeBytes may come up to there. A good client's have less than 4 KiB; one that shows a hundred
	// certificates would have the host check as many signatures.
	HandshakeBytes int

	StrangerTime time.Duration // of a connection without a certificate, in all
	WriteTime    time.Duration // for what is written to go out; a quarter more at most

	Rate    float64 // handshakes a second, of sources that aren't known, together
	Burst   float64 // and how many at once
	Rate1   float64 // of one source
	Burst1  float64
	Sources int // that are remembered
}

// DefaultLimits are those of a host. A half-open connection takes up to 48 KiB, an open one up to 128.
func DefaultLimits() Limits {
	return Limits{
		HalfOpen: 64, PerSource: 48, Known: 16,
		Open: 128, ForAdmins: 16, PerCaller: 32, Strangers: 16,
		HelloTime: 5 * time.Second, HandshakeTime: 10 * time.Second, HandshakeBytes: 12 << 10, StrangerTime: time.Minute, WriteTime: 40 * time.Second,
		Rate: 50, Burst: 100, Rate1: 20, Burst1: 40, Sources: 1024,
	}
}
