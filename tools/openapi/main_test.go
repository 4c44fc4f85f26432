package main

import (
	"bytes"
	"testing"

	"keel/vmkernel/api"
)

func TestTheDocumentThatIsServedIsMadeFromTheCode(t *testing.T) {
	want, err := document("../../vmkernel/api", "../../vmkernel/seed")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(api.OpenAPI, want) {
		t.Error("vmkernel/api/openapi.json is old: run `go generate ./vmkernel/api`")
	}
}
