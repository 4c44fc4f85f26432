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

// CA is an authority whose client certificates are taken.
type CA struct {
	Name        string    `json:"name"`
	Fingerprint string    `json:"fingerprint"`
	NotAfter    time.Time `json:"notAfter"`
	Source      string    `json:"source,omitempty"` // seed or claim
}

// Revocation ends the use of a client certificate, on open connections within seconds.
type Revocation struct {
	Issuer string    `json:"issuer,omitempty"` // the CA's fingerprint; empty: any
	Serial string    `json:"serial"`           // the certificate's serial number, hexadecimal
	Reason string    `json:"reason,omitempty"`
	By     string    `json:"by,omitempty"`
	At     time.Time `json:"at,omitzero"`
}

// RevocationAdd is a Revocation as a client asks for it.
type RevocationAdd struct {
	Issuer string `json:"issuer,omitempty"`
	Serial string `json:"serial"`
	Reason string `json:"reason,omitempty"`
}

// Lockdown refuses claims and new authorities, except by physical presence.
type Lockdown struct {
	Locked bool      `json:"locked"`
	Since  time.Time `json:"since,omitzero"`
	At     time.Time `json:"at,omitzero"` // when it will be; zero: not of itself
}

// LockdownSet locks at once, or at a time. Nothing over the network unlocks.
type LockdownSet struct {
	At *time.Time `json:"at,omitempty"` // absent: now
}

// ClaimState says whether a stranger with the code on the console's screen could become administrator.
type ClaimState struct {
	Open  bool      `json:"open"`
	Until time.Time `json:"until,omitzero"`
}

// HostIdentity is the host's own key and certificate.
type HostIdentity struct {
	Fingerprint string    `json:"fingerprint"`
	Certificate string    `json:"certificate"` // PEM, with what else the host sends in the handshake
	Request     string    `json:"request"`     // PEM: what an operator CA signs
	SignedBy    string    `json:"signedBy,omitempty"`
	NotAfter    time.Time `json:"notAfter"`
	Kept        bool      `json:"kept"` // the key outlives a restart
}

// HostCertificate gives the host a certificate that an operator CA has signed for its key.
type HostCertificate struct {
	Certificate string `json:"certificate"` // PEM
}

// Claim makes an authority the host's first, by the code that its console shows.
type Claim struct {
	Code string `json:"code"`
	CA   string `json:"ca"` // PEM
}

// Claimed is the answer.
type Claimed struct {
	CA   CA           `json:"ca"`
	Host HostIdentity `json:"host"`
}
