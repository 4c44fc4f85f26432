package main

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"strconv"
	"time"

	"keel/vmkernel/auth"
)

// What `make image` stamps into the image, by the linker's -X.
var (
	release  = "devel" // the version
	revision = ""      // of the source
	built    = ""      // seconds since 1970
	embedded = ""      // base64 of the certificates, in PEM, of the operator CAs whose seeds alone it takes
)

// earliest is before any image of this source: the build's time where none is stamped.
var earliest = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)

// builtAt is when the image was built.
func builtAt() time.Time {
	if s, err := strconv.ParseInt(built, 10, 64); err == nil && s > earliest.Unix() {
		return time.Unix(s, 0).UTC()
	}
	return earliest
}

// embeddedCAs are the operator CAs that the image itself trusts.
func embeddedCAs() (cas []*x509.Certificate, err error) {
	text, err := base64.StdEncoding.DecodeString(embedded)
	if err != nil {
		return nil, fmt.Errorf("the image's own CAs: %w", err)
	}
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			return cas, nil
		}
		ca, err := auth.ParseCA(pem.EncodeToMemory(block))
		if err != nil {
			return nil, fmt.Errorf("the image's own CAs: %w", err)
		}
		cas = append(cas, ca)
	}
}
