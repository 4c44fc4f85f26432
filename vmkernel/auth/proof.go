package auth

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
)

// What a proof is for: no proof of one kind is one of another.
const (
	proofHost    = "keel host v1"
	proofClaim   = "keel claim v1"
	proofClaimed = "keel claimed v1"
)

// MinToken and MaxToken say how many characters a token may have. NewToken's has 43: 256 bits.
const (
	MinToken = 32
	MaxToken = 128
)

// NewToken makes the token of a seed, which only the host and the administrator know.
func NewToken() string { return base64.RawURLEncoding.EncodeToString(random(32)) }

// CheckToken reports why a text can't be a token.
func CheckToken(s string) error {
	if len(s) < MinToken || len(s) > MaxToken {
		return fmt.Errorf("the token has %d characters: give %d to %d, as `keelctl` makes them", len(s), MinToken, MaxToken)
	}
	for _, c := range []byte(s) {
		if !alphanumeric(c) && c != '-' && c != '_' {
			return errors.New("the token has other characters than letters, digits, - and _")
		}
	}
	return nil
}

// NewNonce makes what a client sends to have a proof that was made for it alone.
func NewNonce() string { return base64.RawURLEncoding.EncodeToString(random(32)) }

// CheckNonce reports why a text can't be a nonce.
func CheckNonce(s string) error {
	if raw, err := base64.RawURLEncoding.Strict().DecodeString(s); err != nil || len(raw) != 32 || len(s) != 43 {
		return errors.New("the nonce is not the base64url of 32 bytes")
	}
	return nil
}

// Prove returns the proof that a host with the TLS key host knows the seed's token, for a client that sent nonce: the
// administrator's machine, which knows the token too, checks it by CheckProof against the key that it has seen in the
// TLS handshake. Neither side sends the token. It is an error if the seed had none.
func (s *Store) Prove(host Fingerprint, nonce string) (string, error) {
	if s.token == "" {
		return "", errors.New("the host's seed has no token (trust.token): compare its key's fingerprint instead")
	}
	if err := CheckNonce(nonce); err != nil {
		return "", err
	}
	return proof(s.token, proofHost, string(host), nonce), nil
}

// CheckProof says whether a host with the TLS key host knows the token, by its proof for nonce.
func CheckProof(token string, host Fingerprint, nonce, given string) error {
	if !hmac.Equal([]byte(given), []byte(proof(token, proofHost, string(host), nonce))) {
		return fmt.Errorf("the host with the key %s doesn't know the token: it is another host, or has another seed", host)
	}
	return nil
}

// proof is HMAC-SHA256 (RFC 2104) in base64url over what it is about. Each part comes with its length, so that no two
// lists of parts are the same bytes.
func proof(secret, what string, parts ...string) string {
	h := hmac.New(sha256.New, []byte(secret))
	fmt.Fprintf(h, "%s\n", what)
	for _, p := range parts {
		fmt.Fprintf(h, "%d:%s\n", len(p), p)
	}
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil))
}

func random(n int) []byte {
	b := make([]byte, n)
	rand.Read(b) // never fails
	return b
}
