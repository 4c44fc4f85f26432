package auth

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A seed's signature is a text: a statement of four lines, an empty line, and two PEM blocks: the certificate of who has
// signed, and his signature over the statement, its last line break included.
//
//	keel seed signature v1
//	manifest sha256 5891b5b5…
//	signed 2026-11-28T12:00:00Z
//	sequence 1795867200
//
//	-----BEGIN CERTIFICATE-----
const (
	statementTitle   = "keel seed signature v1\n"
	statementFormat  = statementTitle + "manifest sha256 %x\nsigned %s\nsequence %d\n"
	pemSeedSignature = "KEEL SEED SIGNATURE"

	// MaxSeedSignature is how long a seed's signature may be, in bytes.
	MaxSeedSignature = 16 << 10
)

// SeedSignature is what a seed's signature says. Whether it is to be believed, SeedRules say.
type SeedSignature struct {
	Manifest [sha256.Size]byte // the SHA-256 of keel.json, which has those of all files
	Time     time.Time         // the signer's clock, in whole seconds
	Sequence uint64            // a seed with a lower one is older, whatever Time says
	Signer   *x509.Certificate // an operator CA's, or that of a key for seeds

	signature []byte
}

func (s *SeedSignature) statement() []byte {
	return fmt.Appendf(nil, statementFormat, s.Manifest, stamp(s.Time), s.Sequence)
}

// encode writes a signature in its one form.
func (s *SeedSignature) encode() []byte {
	b := append(s.statement(), '\n')
	b = append(b, CertificatePEM(s.Signer)...)
	return append(b, pem.EncodeToMemory(&pem.Block{Type: pemSeedSignature, Bytes: s.signature})...)
}

// SignSeed signs keel.json. signer is the certificate of key: the operator CA's, or one that SignSeeder has made. With 0
// for sequence it is the time, in seconds since 1970.
func SignSeed(manifest []byte, signer *x509.Certificate, key crypto.Signer, sequence uint64, now time.Time) ([]byte, error) {
	f, err := FingerprintOfKey(key)
	if err != nil {
		return nil, err
	}
	if f != FingerprintOf(signer) {
		return nil, fmt.Errorf("the private key isn't that of the certificate of %s", quote(signer.Subject.CommonName))
	}
	if now.Unix() <= 0 || now.Year() > 9999 {
		return nil, fmt.Errorf("the clock says %s: set it", stamp(now))
	}
	if sequence == 0 {
		sequence = uint64(now.Unix())
	}
	s := &SeedSignature{Manifest: sha256.Sum256(manifest), Time: now.UTC().Truncate(time.Second), Sequence: sequence, Signer: signer}
	switch {
	case !signer.IsCA && !SignsSeeds(signer):
		return nil, fmt.Errorf("the certificate of %s is not for signing seeds: have one made by `keelctl cert sign --seeds`", quote(signer.Subject.CommonName))
	case now.Before(signer.NotBefore) || now.After(signer.NotAfter):
		return nil, fmt.Errorf("the certificate of %s is valid from %s to %s, and the clock says %s: no host would take the seed",
			quote(signer.Subject.CommonName), stamp(signer.NotBefore), stamp(signer.NotAfter), stamp(now))
	}
	statement, options := s.statement(), crypto.SignerOpts(crypto.Hash(0)) // Ed25519 signs the text itself
	if signer.PublicKeyAlgorithm == x509.ECDSA {
		sum := sha256.Sum256(statement)
		statement, options = sum[:], crypto.SHA256
	}
	if s.signature, err = key.Sign(rand.Reader, statement, options); err != nil {
		return nil, err
	}
	return s.encode(), nil
}

// SignsSeeds says whether a certificate, other than a CA's, is for signing seeds.
func SignsSeeds(c *x509.Certificate) bool { return slices.Contains(ours(c), seedURI) }

// SignSeed signs keel.json with a CA's own key.
func (ca *CA) SignSeed(manifest []byte, sequence uint64, now time.Time) ([]byte, error) {
	return SignSeed(manifest, ca.Certificate, ca.key, sequence, now)
}

var errSignature = errors.New("the seed's signature is not in the form that `keelctl seed sign` writes")

// ParseSeedSignature reads a seed's signature, in its one form. It doesn't check it.
func ParseSeedSignature(text []byte) (*SeedSignature, error) {
	if len(text) > MaxSeedSignature {
		return nil, fmt.Errorf("the seed's signature has %d bytes; at most %d are possible", len(text), MaxSeedSignature)
	}
	head, rest, ok := bytes.Cut(text, []byte("\n\n"))
	lines := strings.Split(string(head), "\n")
	if !ok || len(lines) != 4 {
		return nil, errSignature
	}
	digest, has1 := strings.CutPrefix(lines[1], "manifest sha256 ")
	signed, has2 := strings.CutPrefix(lines[2], "signed ")
	sequence, has3 := strings.CutPrefix(lines[3], "sequence ")
	if !has1 || !has2 || !has3 {
		return nil, errSignature
	}
	s := &SeedSignature{}
	raw, err := hex.DecodeString(digest)
	if err != nil || copy(s.Manifest[:], raw) != sha256.Size {
		return nil, errSignature
	}
	if s.Time, err = time.Parse(time.RFC3339, signed); err != nil {
		return nil, errSignature
	}
	if s.Sequence, err = strconv.ParseUint(sequence, 10, 64); err != nil {
		return nil, errSignature
	}
	certificate, rest := pem.Decode(rest)
	if certificate == nil {
		return nil, errSignature
	}
	signature, _ := pem.Decode(rest)
	if signature == nil {
		return nil, errSignature
	}
	if s.Signer, err = x509.ParseCertificate(certificate.Bytes); err != nil {
		return nil, fmt.Errorf("the certificate of the seed's signer: %s", printableError(err))
	}
	s.signature = signature.Bytes
	if !bytes.Equal(s.encode(), text) {
		return nil, errSignature
	}
	return s, nil
}

// SeedRules say which seeds a host takes. A host without CAs takes any, signed or not.
type SeedRules struct {
	CAs     []*x509.Certificate
	Revoked []RevokedCertificate // keys for seeds
	Minimum uint64               // sequence: what is below is older than what the host has to take
}

// Check says whether a seed with this keel.json and this signature (nil: none) is to be taken, and returns the signature,
// or nil. What was signed is keel.json alone, with the SHA-256 of all files in it. Nothing of keel.json has been read yet.
//
// Signed is signed: who signed is asked to have been allowed to at the time that he gives, not to be now. A host has to
// start with the seed that it was given, however long ago that was.
func (r *SeedRules) Check(manifest, signature []byte) (*SeedSignature, error) {
	if signature == nil {
		if len(r.CAs) == 0 {
			return nil, nil
		}
		return nil, fmt.Errorf("the seed is not signed, and this host takes no others than those of %s: sign it by `keelctl seed sign`", names(r.CAs))
	}
	s, err := ParseSeedSignature(signature)
	if err != nil {
		return nil, err
	}
	if err := checkKey(s.Signer.PublicKey); err != nil {
		return nil, fmt.Errorf("the key of the seed's signer %s", err)
	}
	algorithm := x509.ECDSAWithSHA256
	if s.Signer.PublicKeyAlgorithm == x509.Ed25519 {
		algorithm = x509.PureEd25519
	}
	if s.Signer.CheckSignature(algorithm, s.statement(), s.signature) != nil {
		return nil, fmt.Errorf("the seed's signature is not by the key that it names, %s: it was changed", FingerprintOf(s.Signer))
	}
	if sha256.Sum256(manifest) != s.Manifest {
		return nil, errors.New("keel.json is not what the seed's signature is for: it was changed after it was signed")
	}
	if len(r.CAs) == 0 {
		return s, nil
	}
	if err := seedSigner(s.Signer, r.CAs, s.Time); err != nil {
		return nil, err
	}
	for _, revoked := range r.Revoked {
		if revoked.Serial == Serial(s.Signer) && r.issued(revoked.Issuer, s.Signer) {
			return nil, fmt.Errorf("the seed is signed by %s, whose certificate %s was revoked", quote(s.Signer.Subject.CommonName), revoked.Serial)
		}
	}
	if s.Sequence < r.Minimum {
		return nil, fmt.Errorf("the seed is too old: its sequence is %d (signed at %s), and this host takes none below %d",
			s.Sequence, stamp(s.Time), r.Minimum)
	}
	return s, nil
}

// issued says whether a certificate is of the CA with this fingerprint.
func (r *SeedRules) issued(f Fingerprint, c *x509.Certificate) bool {
	return slices.ContainsFunc(r.CAs, func(ca *x509.Certificate) bool {
		return FingerprintOf(ca) == f && c.CheckSignatureFrom(ca) == nil
	})
}

// seedSigner says whether c is one of the CAs, or the certificate of a key for seeds that one of them has signed, and
// was valid at that time.
func seedSigner(c *x509.Certificate, cas []*x509.Certificate, at time.Time) error {
	name := quote(c.Subject.CommonName)
	for _, ca := range cas {
		if FingerprintOf(ca) == FingerprintOf(c) && ca.IsCA {
			if at.Before(ca.NotBefore) || at.After(ca.NotAfter) {
				return fmt.Errorf("the seed is signed by the CA %s at %s, when that wasn't valid: it is from %s to %s",
					name, stamp(at), stamp(ca.NotBefore), stamp(ca.NotAfter))
			}
			return nil
		}
	}
	pool := x509.NewCertPool()
	for _, ca := range cas {
		pool.AddCert(ca)
	}
	_, err := c.Verify(x509.VerifyOptions{Roots: pool, CurrentTime: at, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning}})
	var unknown x509.UnknownAuthorityError
	switch {
	case errors.As(err, &unknown):
		return fmt.Errorf("the seed is signed by %s, key %s; this host takes those of %s alone", name, FingerprintOf(c), names(cas))
	case err != nil:
		return fmt.Errorf("the seed is signed by %s, whose certificate can't be used for that: %s", name, printableError(err))
	case c.IsCA || !slices.Equal(ours(c), []string{seedURI}) || !slices.Equal(c.ExtKeyUsage, []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning}):
		return fmt.Errorf("the seed is signed by %s, whose certificate is not for signing seeds: have one made by `keelctl cert sign --seeds`", name)
	}
	return nil
}

func names(cas []*x509.Certificate) string {
	var list []string
	for _, ca := range cas {
		list = append(list, fmt.Sprintf("the CA %s, key %s", quote(ca.Subject.CommonName), FingerprintOf(ca)))
	}
	return strings.Join(list, ", ")
}
