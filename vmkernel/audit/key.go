package audit

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"fmt"

	"golang.org/x/mod/sumdb/note"
)

// The host's own key signs checkpoints: whoever has pinned the host's fingerprint, or trusts the CA that certified it,
// needs no second key, and an exported log can be checked years later against the fingerprint that was pinned then.
// The same key signs TLS handshakes; RFC 8446 (4.4.3) puts 64 spaces and a context in front of what it signs there,
// and a note begins with its origin, so neither signature is ever one of the other kind.
//
// Ed25519 is note's own algorithm. For ECDSA there is C2SP's signed-note: the key hash is the beginning of the SHA-256
// of the SubjectPublicKeyInfo, the signature is ASN.1 over the SHA-256 of the text.

// key is the public half: a note.Verifier.
type key struct {
	name string
	hash uint32
	pub  crypto.PublicKey
}

// signer is a note.Signer.
type signer struct {
	key
	private crypto.Signer
}

// NewVerifier makes the verifier of a host's checkpoints: origin is the log's, pub the host's public key,
// ed25519.PublicKey or *ecdsa.PublicKey on P-256.
func NewVerifier(origin string, pub crypto.PublicKey) (note.Verifier, error) {
	k, err := newKey(origin, pub)
	if err != nil {
		return nil, err
	}
	return k, nil
}

// NewSigner makes the signer of a host's checkpoints.
func NewSigner(origin string, private crypto.Signer) (note.Signer, error) {
	k, err := newKey(origin, private.Public())
	if err != nil {
		return nil, err
	}
	return &signer{*k, private}, nil
}

func newKey(name string, pub crypto.PublicKey) (*key, error) {
	var sum [sha256.Size]byte
	switch p := pub.(type) {
	case ed25519.PublicKey:
		sum = sha256.Sum256(append([]byte(name+"\n\x01"), p...))
	case *ecdsa.PublicKey:
		if p.Curve != elliptic.P256() {
			return nil, fmt.Errorf("audit: an ECDSA key on %s can't sign the log: give one on P-256", p.Params().Name)
		}
		der, err := x509.MarshalPKIXPublicKey(p)
		if err != nil {
			return nil, fmt.Errorf("audit: %w", err)
		}
		sum = sha256.Sum256(der)
	default:
		return nil, fmt.Errorf("audit: a %T can't sign the log: give Ed25519 or ECDSA on P-256", pub)
	}
	return &key{name, binary.BigEndian.Uint32(sum[:]), pub}, nil
}

func (k *key) Name() string    { return k.name }
func (k *key) KeyHash() uint32 { return k.hash }

func (k *key) Verify(msg, sig []byte) bool {
	switch p := k.pub.(type) {
	case ed25519.PublicKey:
		return ed25519.Verify(p, msg, sig)
	case *ecdsa.PublicKey:
		sum := sha256.Sum256(msg)
		return ecdsa.VerifyASN1(p, sum[:], sig)
	}
	return false
}

func (s *signer) Sign(msg []byte) ([]byte, error) {
	if _, ok := s.pub.(ed25519.PublicKey); ok {
		return s.private.Sign(rand.Reader, msg, crypto.Hash(0))
	}
	sum := sha256.Sum256(msg)
	return s.private.Sign(rand.Reader, sum[:], crypto.SHA256)
}
