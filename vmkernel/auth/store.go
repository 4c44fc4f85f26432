package auth

import (
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// Limits of what a host keeps.
const (
	MaxCAs     = 16
	MaxRevoked = 4096
	MaxAdmins  = 64
)

// RevokedCertificate names a certificate that is no longer to be believed.
type RevokedCertificate struct {
	Issuer Fingerprint `json:"issuer"` // of the CA's key
	Serial string      `json:"serial"` // as Serial writes it
}

// ParseSerial reads a serial number in hexadecimal, as Serial or openssl writes it.
func ParseSerial(s string) (string, error) {
	digits := strings.ToLower(strings.ReplaceAll(s, ":", ""))
	for _, c := range []byte(digits) {
		if !('0' <= c && c <= '9' || 'a' <= c && c <= 'f') {
			return "", fmt.Errorf("%s is not a serial number; one is written in hexadecimal", quote(s))
		}
	}
	digits = strings.TrimLeft(digits, "0")
	if digits == "" || len(digits) > 40 { // RFC 5280, section 4.1.2.2
		return "", fmt.Errorf("%s is not a serial number; one has 1 to 40 hexadecimal digits, and is not 0", quote(s))
	}
	return fmt.Sprintf("%032s", digits), nil
}

// Config is what a host trusts from its boot on.
type Config struct {
	CAs      []*x509.Certificate
	Revoked  []RevokedCertificate
	Token    string // see Prove; empty: none
	Lockdown Lockdown
	// Recover is set at a boot that someone in front of the machine has asked for as `Recover access`.
	Recover bool

	// Clock tells the time of day, for certificates. It may jump.
	Clock func() time.Time
	// Uptime tells the time since boot, for windows and limits. It never jumps.
	Uptime func() time.Duration
}

// Store is what a host trusts: operator CAs, less what was revoked, and what there is to claim. All its methods may be
// called by any goroutine.
type Store struct {
	clock  func() time.Time
	uptime func() time.Duration
	token  string

	mu       sync.Mutex
	cas      []*anchor
	revoked  map[RevokedCertificate]bool
	lock     Lockdown
	admins   map[Fingerprint]bool // keys of administrators: see Lockdown
	unknown  bool                 // there was no room for one
	claim    claim
	watchers map[int]func()
	next     int // watcher's number
}

// anchor is an operator CA that the host trusts.
type anchor struct {
	certificate *x509.Certificate
	fingerprint Fingerprint
	present     bool // claimed by someone in front of the machine: lockdown doesn't hold for its users
}

// NewStore returns the Store of a host that has just booted. It opens a claim where there is no CA, or where c.Recover
// says so: Claim's code is then to be shown on the console.
func NewStore(c Config) (*Store, error) {
	s := &Store{
		clock: c.Clock, uptime: c.Uptime, token: c.Token, lock: c.Lockdown,
		revoked: map[RevokedCertificate]bool{}, admins: map[Fingerprint]bool{}, watchers: map[int]func(){},
	}
	for _, ca := range c.CAs {
		if _, err := s.add(ca, false); err != nil {
			return nil, err
		}
	}
	if err := s.revoke(c.Revoked); err != nil {
		return nil, err
	}
	for _, key := range c.Lockdown.Administrators {
		s.admins[key] = true
	}
	if c.Recover {
		s.openClaim(byPresence)
	} else if len(s.cas) == 0 && !s.lockedDown() {
		s.openClaim(firstBoot)
	}
	return s, nil
}

// add trusts a CA. The lock is held, or nobody else has s yet.
func (s *Store) add(c *x509.Certificate, present bool) (*anchor, error) {
	if err := checkCA(c); err != nil {
		return nil, err
	}
	f := FingerprintOf(c)
	for _, a := range s.cas {
		if a.fingerprint == f {
			if a.present = a.present || present; c.NotAfter.After(a.certificate.NotAfter) {
				a.certificate = c
			}
			return a, nil
		}
	}
	if len(s.cas) == MaxCAs {
		return nil, fmt.Errorf("the host trusts %d operator CAs already, and no more are possible: distrust one", MaxCAs)
	}
	a := &anchor{c, f, present}
	s.cas = append(s.cas, a)
	return a, nil
}

// CAs returns the operator CAs that the host trusts.
func (s *Store) CAs() []*x509.Certificate {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []*x509.Certificate
	for _, a := range s.cas {
		list = append(list, a.certificate)
	}
	return list
}

// pool is what x509.Verify takes. It is never nil, which would stand for the system's own CAs.
func (s *Store) pool() *x509.CertPool {
	p := x509.NewCertPool()
	for _, c := range s.CAs() {
		p.AddCert(c)
	}
	return p
}

// identify says who has shown a certificate that x509.Verify has found these chains for, the CA's certificate last. A host
// lists the CAs that it trusts, and each has to have signed its users itself. The error is a *Refusal.
//
// Whether he has the key as well is not asked here: TLS has.
func (s *Store) identify(chains [][]*x509.Certificate) (Identity, error) {
	for _, chain := range chains {
		if len(chain) != 2 {
			continue
		}
		id, err := IdentityOf(chain[0])
		if err != nil {
			return Identity{}, err
		}
		id.Issuer = FingerprintOf(chain[1])
		s.mu.Lock()
		defer s.mu.Unlock()
		return id, s.admit(id, s.clock())
	}
	if len(chains) > 0 && len(chains[0]) == 1 {
		return Identity{}, refuse(BadPurpose, "the certificate is the operator CA's own: give a user's")
	}
	return Identity{}, refuse(UnknownCA, "the certificate was not signed by an operator CA itself, but by one below it: "+
		"have the host trust that one, or the certificate signed by the operator CA")
}

// Recheck says whether someone who was let in may still stay: his certificate has neither expired nor been revoked, and
// its CA is still trusted and hasn't expired either. A server asks for each request, and of all open connections when Watch says that something
// has changed. The error is a *Refusal.
func (s *Store) Recheck(id Identity, now time.Time) error {
	if now.After(id.NotAfter) {
		return refuse(Expired, "the certificate expired at %s, and the host's clock says %s: renew it (`keelctl cert renew`)",
			stamp(id.NotAfter), stamp(now))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.admit(id, now)
}

// EndOf returns the time after which someone who was let in can't come in any more: the end of his certificate, or of its CA.
func (s *Store) EndOf(id Identity) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range s.cas {
		if a.fingerprint == id.Issuer && a.certificate.NotAfter.Before(id.NotAfter) {
			return a.certificate.NotAfter
		}
	}
	return id.NotAfter
}

// admit asks what can change while a certificate stays the same. The lock is held.
func (s *Store) admit(id Identity, now time.Time) error {
	at := slices.IndexFunc(s.cas, func(a *anchor) bool { return a.fingerprint == id.Issuer })
	if at < 0 {
		return refuse(UnknownCA, "the certificate is of no operator CA that this host trusts")
	}
	if c := s.cas[at].certificate; now.After(c.NotAfter) {
		return refuse(Expired, "the operator CA %s expired at %s, and the host's clock says %s: have the host trust its successor, "+
			"by the seed or `Recover access` in the boot menu", quote(c.Subject.CommonName), stamp(c.NotAfter), stamp(now))
	}
	if s.revoked[RevokedCertificate{id.Issuer, id.Serial}] {
		return refuse(Revoked, "the certificate %s of %s was revoked: have a new one signed, for a new key", id.Serial, id.Name)
	}
	if id.Role == Admin {
		return s.admitAdmin(id, s.cas[at].present)
	}
	return nil
}

// Revoke revokes certificates, from now on and for those who are in. It holds until the host restarts: put them into the
// seed as well.
func (s *Store) Revoke(list ...RevokedCertificate) error {
	s.mu.Lock()
	err := s.revoke(list)
	s.mu.Unlock()
	if err == nil {
		s.changed()
	}
	return err
}

func (s *Store) revoke(list []RevokedCertificate) error {
	more := 0
	for i, r := range list {
		issuer, err := ParseFingerprint(string(r.Issuer))
		if err != nil {
			return fmt.Errorf("the issuer: %w", err)
		}
		serial, err := ParseSerial(r.Serial)
		if err != nil {
			return err
		}
		if list[i] = (RevokedCertificate{issuer, serial}); !s.revoked[list[i]] {
			more++
		}
	}
	if len(s.revoked)+more > MaxRevoked {
		return fmt.Errorf("%d certificates are revoked, and %d more are above the maximum of %d: "+
			"have a new operator CA instead, and distrust the old one", len(s.revoked), more, MaxRevoked)
	}
	for _, r := range list {
		s.revoked[r] = true
	}
	return nil
}

// Revocations lists what was revoked, by issuer and serial number.
func (s *Store) Revocations() []RevokedCertificate {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.SortedFunc(maps.Keys(s.revoked), func(a, b RevokedCertificate) int {
		return strings.Compare(string(a.Issuer)+a.Serial, string(b.Issuer)+b.Serial)
	})
}

// ErrLocked is the error of Trust on a host that is locked down.
var ErrLocked = errors.New("the host is locked down: it takes no new operator CA but by a claim after `Recover access` in its boot menu")

// Trust has the host trust a CA more, until it restarts: put it into the seed as well. It is refused once the host is locked
// down. One that is trusted already, by its key, stays as it is, unless this certificate is valid for longer.
func (s *Store) Trust(c *x509.Certificate) error {
	s.mu.Lock()
	err := ErrLocked
	if !s.lockedDown() {
		_, err = s.add(c, false)
	}
	s.mu.Unlock()
	if err == nil {
		s.changed()
	}
	return err
}

// Distrust takes a CA from those that the host trusts, and so throws out all its users. It refuses to take the last.
func (s *Store) Distrust(f Fingerprint) error {
	s.mu.Lock()
	at := slices.IndexFunc(s.cas, func(a *anchor) bool { return a.fingerprint == f })
	if at < 0 {
		s.mu.Unlock()
		return fmt.Errorf("the host trusts no operator CA with the fingerprint %s", quote(string(f)))
	}
	if len(s.cas) == 1 {
		s.mu.Unlock()
		return fmt.Errorf("%s is the only operator CA that the host trusts: without it nobody could come in", f)
	}
	s.cas = slices.Delete(s.cas, at, at+1)
	s.mu.Unlock()
	s.changed()
	return nil
}

// Watch has f called each time that what Recheck says may have changed, and returns what ends that. f is called by the
// goroutine that changes something, and must return at once.
func (s *Store) Watch(f func()) (stop func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.next
	s.next++
	s.watchers[n] = f
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.watchers, n)
	}
}

func (s *Store) changed() {
	s.mu.Lock()
	var all []func()
	for _, f := range s.watchers {
		all = append(all, f)
	}
	s.mu.Unlock()
	for _, f := range all {
		f()
	}
}
