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

// Ceiling returns the time from which on none of the CAs is valid any more, zero without any.
func Ceiling(cas []*x509.Certificate) (ceiling time.Time) {
	for _, c := range cas {
		if c.NotAfter.After(ceiling) {
			ceiling = c.NotAfter
		}
	}
	return ceiling.UTC()
}

// deadAfter is how many years after the ceiling a clock is taken for dead. CAs can have ended, and what has ended mustn't
// be valid again because the clock is taken for wrong.
const deadAfter = 10

// StartTime returns the time that a host starts with: its clock's, unless that is before floor, or long after ceiling. wrong
// says so. A zero ceiling, and one before floor, says nothing about the clock.
func StartTime(clock, floor, ceiling time.Time) (t time.Time, wrong bool) {
	if clock.Before(floor) || ceiling.After(floor) && clock.After(ceiling.AddDate(deadAfter, 0, 0)) {
		return floor, true
	}
	return clock, false
}
