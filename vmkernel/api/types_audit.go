package api

import "time"

// AuditCheckpoint is the head of this boot's log, with what it takes to check the records that the host still has.
type AuditCheckpoint struct {
	Boot   string   `json:"boot"`   // the boot's id
	Note   string   `json:"note"`   // the signed checkpoint (golang.org/x/mod/sumdb/note)
	Size   int64    `json:"size"`   // records
	First  int64    `json:"first"`  // the first record that the host still has
	Prefix []string `json:"prefix"` // base64: hashes of the complete subtrees of the records before it, the largest first
}

// AuditRecords is a part of the log. Each record is one string, byte for byte as it was hashed: a line of JSON.
type AuditRecords struct {
	Boot    string   `json:"boot"`
	From    int64    `json:"from"` // number of the first one: more than was asked for if those before it are gone
	Size    int64    `json:"size"` // records that there are
	Records []string `json:"records"`
}

// AuditProof proves that a log goes on from an older one, or holds a record (RFC 6962, 2.1).
type AuditProof struct {
	Boot   string   `json:"boot"`
	Hashes []string `json:"hashes"` // base64
}

// AuditForwarding is where the log is sent, as RFC 5424 over TLS (RFC 5425). Without an address it is sent nowhere.
type AuditForwarding struct {
	Address string `json:"address,omitempty"` // host or host:port; the port is 6514 if absent
	Name    string `json:"name,omitempty"`    // in the collector's certificate; the address's host if absent
	CA      string `json:"ca,omitempty"`      // PEM: who may have signed its certificate
	Pin     string `json:"pin,omitempty"`     // its key's fingerprint
	Bare    bool   `json:"bare,omitempty"`    // the end of a TCP connection without TLS's close_notify confirms too
}

// AuditForwardingStatus is how forwarding stands.
type AuditForwardingStatus struct {
	Config    AuditForwarding `json:"config"`
	Connected bool            `json:"connected"`
	Confirmed int64           `json:"confirmed"`      // records that the collector has
	Size      int64           `json:"size"`           // records that there are
	Since     time.Time       `json:"since,omitzero"` // of the first failure since the last confirmation
	Error     string          `json:"error,omitempty"`
}
