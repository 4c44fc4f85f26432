package api

import "time"

// Trust is whom the host believes, and by what it is known.
type Trust struct {
	CAs         []CA         `json:"cas,omitempty"`
	Revocations []Revocation `json:"revocations,omitempty"`
	Lockdown    Lockdown     `json:"lockdown"`
	Claim       ClaimState   `json:"claim"`
	Host        HostIdentity `json:"host"`
}

// CA is an operator CA, whose users are let in. Its fingerprint is its key's.
type CA struct {
	Name        string    `json:"name"`
	Fingerprint string    `json:"fingerprint"`
	NotAfter    time.Time `json:"notAfter"`
}

// NewCA gives the host another operator CA: for a new one before the old one's end. It holds until the host restarts: the seed is
// to have it as well.
type NewCA struct {
	Certificate string `json:"certificate"` // PEM
}

// Revocation ends the use of a client certificate, on open connections within seconds. It holds until the host restarts:
// the seed is to have it as well.
type Revocation struct {
	Issuer string `json:"issuer"` // the CA's fingerprint
	Serial string `json:"serial"` // the certificate's serial number, hexadecimal
}

// Lockdown refuses claims, new authorities and unknown administrators, except by physical presence. Nothing but a restart
// ends it.
type Lockdown struct {
	Locked         bool      `json:"locked"`
	At             time.Time `json:"at,omitzero"`    // when it will be; absent: it is, or never will be of itself
	Administrators int       `json:"administrators"` // how many are known
}

// ClaimState says whether a stranger with the code on the host's console could become administrator.
type ClaimState struct {
	Open  bool      `json:"open"`
	Until time.Time `json:"until,omitzero"`
}

// HostIdentity is the host's own key and certificate.
type HostIdentity struct {
	Fingerprint string    `json:"fingerprint"`
	Certificate string    `json:"certificate"`        // PEM
	Request     string    `json:"request"`            // PEM: what an operator CA signs
	SignedBy    string    `json:"signedBy,omitempty"` // a CA's name; absent: the host itself
	NotAfter    time.Time `json:"notAfter"`
	Kept        bool      `json:"kept"` // the key outlives a restart
}

// HostCertificate gives the host a certificate that an operator CA has signed for its key.
type HostCertificate struct {
	Certificate string `json:"certificate"` // PEM
}

// Nonce asks the host to prove that it knows its seed's token.
type Nonce struct {
	Nonce string `json:"nonce"` // auth.NewNonce's
}

// Proof is its answer, for auth.CheckProof.
type Proof struct {
	Proof string `json:"proof"`
}

// Claim makes an operator CA the host's, by the code that its console shows: auth.NewClaim makes it.
type Claim struct {
	CA    string    `json:"ca"` // PEM
	Time  time.Time `json:"time"`
	Nonce string    `json:"nonce"`
	Proof string    `json:"proof"`
}

// Claimed is the answer, for auth.ClaimRequest.CheckAnswer.
type Claimed struct {
	Proof string `json:"proof"`
}
