package auth

import (
	"crypto/hmac"
	"crypto/x509"
	"errors"
	"fmt"
	"net/netip"
	"time"
)

// RecoverWindow is how long the claim of `Recover access` is open, from when the host's door is.
const RecoverWindow = 15 * time.Minute

// claim is the one claim that there may be. The zero claim is closed.
type claim struct {
	code    string        // empty: closed
	present bool          // someone in front of the machine asked for it: lockdown doesn't close it
	ends    time.Duration // of one by presence; 0: the door isn't open yet
	limit   limiter
}

// What a claim is opened for.
const (
	firstBoot  = false // the host trusts nobody yet; it ends when it does
	byPresence = true
)

// openClaim opens the claim. The lock is held, or nobody else has s yet.
func (s *Store) openClaim(present bool) {
	s.claim = claim{code: newCode(), present: present}
}

// Listening has RecoverWindow begin: the host's door is open. A network that takes its time costs nobody his claim.
func (s *Store) Listening() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.claim.present && s.claim.ends == 0 {
		s.claim.ends = s.uptime() + RecoverWindow
	}
}

// claimOpen says whether there is a claim. The lock is held.
func (s *Store) claimOpen() bool {
	c := &s.claim
	switch {
	case c.code == "":
	case c.present && c.ends != 0 && s.uptime() >= c.ends, !c.present && s.lockedDown():
		*c = claim{}
	}
	return c.code != ""
}

// ClaimState is what there is to say about a claim. The code is for the host's own console, and for nothing else.
type ClaimState struct {
	Open bool
	Code string
	Ends time.Duration // from now on; 0: not before someone claims the host
}

// ClaimState returns the state of the claim.
func (s *Store) ClaimState() ClaimState {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.claimOpen() {
		return ClaimState{}
	}
	state := ClaimState{Open: true, Code: s.claim.code}
	if s.claim.present {
		state.Ends = RecoverWindow
		if s.claim.ends != 0 {
			state.Ends = s.claim.ends - s.uptime()
		}
	}
	return state
}

// ClaimOpen says whether the host can be claimed.
func (s *Store) ClaimOpen() bool { return s.ClaimState().Open }

// ClaimRequest has a host trust an operator CA. It shows that its sender knows the code from the host's console, and
// that he means the host with this TLS key: so it is of no use to one in between who passes it on.
type ClaimRequest struct {
	CA    string    `json:"ca"`    // the CA's certificate, in PEM
	Time  time.Time `json:"time"`  // the sender's clock
	Nonce string    `json:"nonce"` // NewNonce's
	Proof string    `json:"proof"`
}

// ClaimAnswer is what the host says to a claim that it took. Its proof shows that it knows the code too.
type ClaimAnswer struct {
	Proof string `json:"proof"`
}

// NewClaim makes the claim of a host whose TLS key, as seen in the handshake, has the fingerprint host.
func NewClaim(code string, host Fingerprint, ca *x509.Certificate, now time.Time) (ClaimRequest, error) {
	code, err := ParseCode(code)
	if err != nil {
		return ClaimRequest{}, err
	}
	r := ClaimRequest{CA: string(CertificatePEM(ca)), Time: now.UTC().Truncate(time.Second), Nonce: NewNonce()}
	r.Proof = r.proof(code, proofClaim, host)
	return r, nil
}

func (r *ClaimRequest) proof(code, what string, host Fingerprint) string {
	return proof(code, what, string(host), r.Nonce, r.CA, r.Time.UTC().Format(time.RFC3339Nano))
}

// CheckAnswer says whether it was the host with the code on its console that took the claim.
func (r *ClaimRequest) CheckAnswer(code string, host Fingerprint, a ClaimAnswer) error {
	code, err := ParseCode(code)
	if err != nil {
		return err
	}
	if !hmac.Equal([]byte(a.Proof), []byte(r.proof(code, proofClaimed, host))) {
		return fmt.Errorf("what took the claim at the key %s is not the host with this code: don't use it", host)
	}
	return nil
}

// Errors of Claim.
var (
	ErrNoClaim = errors.New("the host can't be claimed: it trusts an operator CA already, or is locked down; " +
		"for a new claim choose `Recover access` in its boot menu")
	ErrCode = errors.New("the code is wrong, or meant for another host: it stands on the host's console")
)

// ErrTooMany is the error of a claim that was not looked at, or of a wrong code too many.
type ErrTooMany struct{ Wait time.Duration }

func (e ErrTooMany) Error() string {
	return fmt.Sprintf("too many wrong codes: try again in %s", e.Wait.Round(time.Second))
}

// Claim takes a claim and returns the CA that the host trusts from now on. The claim is closed then. host is the key of
// the TLS connection that it came by, from where it came. r.Time is as good as who knows the code is: a host whose clock
// nothing has set can take it.
func (s *Store) Claim(r ClaimRequest, host Fingerprint, from netip.Addr) (*x509.Certificate, ClaimAnswer, error) {
	c, a, err := s.takeClaim(r, host, from)
	if err == nil {
		s.changed()
	}
	return c, a, err
}

func (s *Store) takeClaim(r ClaimRequest, host Fingerprint, from netip.Addr) (*x509.Certificate, ClaimAnswer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.claimOpen() {
		return nil, ClaimAnswer{}, ErrNoClaim
	}
	if wait := s.claim.limit.full(s.uptime()); wait > 0 {
		return nil, ClaimAnswer{}, ErrTooMany{wait}
	}
	if len(r.CA) > MaxPEM {
		return nil, ClaimAnswer{}, fmt.Errorf("the CA's certificate has %d bytes; at most %d are possible", len(r.CA), MaxPEM)
	}
	if !hmac.Equal([]byte(r.Proof), []byte(r.proof(s.claim.code, proofClaim, host))) {
		if wait := s.claim.limit.failed(from, s.uptime()); wait > 0 {
			return nil, ClaimAnswer{}, ErrTooMany{wait}
		}
		return nil, ClaimAnswer{}, ErrCode
	}
	// Only one with the code has his certificate looked at.
	ca, err := ParseCA([]byte(r.CA))
	if err != nil {
		return nil, ClaimAnswer{}, fmt.Errorf("the claim's CA: %w", err)
	}
	if !r.Time.Before(ca.NotAfter) || r.Time.Before(ca.NotBefore) {
		return nil, ClaimAnswer{}, fmt.Errorf("the claim's CA %s is valid from %s to %s, and your clock says %s",
			quote(ca.Subject.CommonName), stamp(ca.NotBefore), stamp(ca.NotAfter), stamp(r.Time))
	}
	if _, err := s.add(ca, s.claim.present); err != nil {
		return nil, ClaimAnswer{}, err
	}
	answer := ClaimAnswer{r.proof(s.claim.code, proofClaimed, host)}
	s.claim = claim{}
	return ca, answer, nil
}
