package builtin

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"keel/vmkernel/auth"
)

var built = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

func full(t testing.TB) Trust {
	t.Helper()
	trust := Trust{Built: built, Minimum: 7}
	for _, name := range []string{"old", "ops"} {
		ca, err := auth.NewCA(name, built)
		if err != nil {
			t.Fatal(err)
		}
		trust.CAs = append(trust.CAs, ca.Certificate)
		trust.Revoked = append(trust.Revoked, auth.RevokedCertificate{Issuer: ca.Fingerprint(), Serial: "0000000000000000000000000000abcd"})
	}
	return trust
}

func TestAnImageThatNobodyHasFilledInTrustsNobody(t *testing.T) {
	if trust, err := Read(); err != nil || !reflect.DeepEqual(trust, Trust{}) {
		t.Errorf("%+v, %v", trust, err)
	}
}

func TestTrustIsReadAsWritten(t *testing.T) {
	for _, want := range []Trust{{}, {Built: built}, full(t)} {
		contents, err := want.Encode()
		if err != nil || len(contents) != Size {
			t.Fatalf("%d bytes, %v", len(contents), err)
		}
		got, err := Parse(contents)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%+v, %v\nwant %+v", got, err, want)
		}
	}
	large := full(t)
	for len(large.CAs) < 20 {
		large.CAs = append(large.CAs, large.CAs[0])
	}
	if _, err := large.Encode(); err == nil {
		t.Error("more CAs than there is room for")
	}
}

func TestDamagedTrustIsRefused(t *testing.T) {
	trust := full(t)
	contents, err := trust.Encode()
	if err != nil {
		t.Fatal(err)
	}
	text := strings.TrimRight(string(contents), "\x00")
	for _, bad := range []string{
		"", text[1:], text[:len(text)-2], text + "x", text + "\x00x", text + "minimum 1\n",
		strings.Replace(text, "minimum 7", "minimum 07", 1), strings.Replace(text, "minimum 7", "maximum 7", 1),
		strings.Replace(text, "built 2026", "built 20x6", 1), strings.Replace(text, "BEGIN CERT", "BEGIN CORT", 1),
		strings.Replace(text, "abcd", "abcx", 1),
	} {
		padded := append([]byte(bad), make([]byte, Size-len(bad))...)
		if got, err := Parse(padded); err == nil {
			t.Errorf("%.40q was read as %+v", bad, got)
		}
	}
}

func TestASeedsCAsTakeThePlaceOfTheImages(t *testing.T) {
	trust := full(t)
	own, err := auth.NewCA("seed's", built)
	if err != nil {
		t.Fatal(err)
	}
	given := auth.Config{CAs: trust.CAs[:0:0], Token: "x"}
	if c := trust.Extend(given); len(c.CAs) != 2 || len(c.Revoked) != 2 || c.Token != "x" {
		t.Errorf("without CAs of the seed: %+v", c)
	}
	given.CAs = append(given.CAs, own.Certificate)
	if c := trust.Extend(given); len(c.CAs) != 1 || c.CAs[0] != own.Certificate {
		t.Errorf("with one: %+v", c)
	}
}

// FuzzParse promises that damaged contents are refused, and that what is read is what Encode writes.
func FuzzParse(f *testing.F) {
	trust := full(f)
	contents, err := trust.Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(contents)
	f.Add([]byte(title))
	f.Fuzz(func(t *testing.T, contents []byte) {
		trust, err := Parse(contents)
		if err != nil {
			return
		}
		if again, err := trust.Encode(); err != nil || string(again) != string(contents) {
			t.Errorf("%q\nis written again as %q, %v", contents, again, err)
		}
	})
}
