package auth

import (
	"crypto/x509"
	"time"
)

// Floor returns the time before which it can't be: the latest of the image's build, the seed's signature (zero without
// one), and when the CAs that the host trusts begin. A host without a working clock starts from there, and its
// administrators' certificates, which begin when their CA does, are valid to it.
func Floor(built, signed time.Time, cas []*x509.Certificate) time.Time {
	floor := built
	if signed.After(floor) {
		floor = signed
	}
	for _, c := range cas {
		if c.NotBefore.After(floor) {
			floor = c.NotBefore
		}
	}
	return floor.UTC()
}

// StartTime returns the time that a host starts with: its clock's, unless that is before floor. raised says so.
func StartTime(clock, floor time.Time) (t time.Time, raised bool) {
	if clock.Before(floor) {
		return floor, true
	}
	return clock, false
}
