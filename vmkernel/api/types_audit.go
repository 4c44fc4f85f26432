package api

import "encoding/json"

// AuditCheckpoint is the signed state of this boot's log.
type AuditCheckpoint struct {
	Boot string `json:"boot"` // the log's id
	Size uint64 `json:"size"` // records
	Note string `json:"note"` // the checkpoint as a signed note (golang.org/x/mod/sumdb/note)
	Key  string `json:"key"`  // the note's verifier key
}

// AuditRecords is a part of the log, byte for byte as it was hashed.
type AuditRecords struct {
	Boot    string            `json:"boot"`
	From    uint64            `json:"from"` // number of the first record, from 0
	Size    uint64            `json:"size"` // records that there are
	Records []json.RawMessage `json:"records"`
}

// AuditProof proves that a log goes on from an older one, or holds a record (RFC 6962, 2.1).
type AuditProof struct {
	Boot   string   `json:"boot"`
	Hashes []string `json:"hashes"` // base64
}

// AuditForwarding is where the log is sent, as RFC 5424 over TLS (RFC 5425).
type AuditForwarding struct {
	Address string `json:"address,omitempty"` // host:port; empty: nowhere
	CA      string `json:"ca,omitempty"`      // PEM: who signs the collector's certificate
	Name    string `json:"name,omitempty"`    // in the collector's certificate; empty: the address's host
}

// AuditForwardingStatus is how forwarding stands.
type AuditForwardingStatus struct {
	Config    AuditForwarding `json:"config"`
	Connected bool            `json:"connected"`
	Sent      uint64          `json:"sent"`    // records
	Waiting   uint64          `json:"waiting"` // records
	Error     string          `json:"error,omitempty"`
}
