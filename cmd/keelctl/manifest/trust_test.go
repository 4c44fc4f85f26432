package manifest

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"keel/vmkernel/auth"
)

// TestCAsAreFilesBesideTheYAML gives one as a file and one as text.
func TestCAsAreFilesBesideTheYAML(t *testing.T) {
	dir := t.TempDir()
	var pems []string
	for _, name := range []string{"file", "text"} {
		ca, err := auth.NewCA(name, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		pems = append(pems, string(ca.CertificatePEM()))
	}
	text := "apiVersion: keel/v1\nkind: Host\ntrust:\n  operatorCAs:\n    - sub/ca.pem\n    - |\n" +
		"      " + strings.ReplaceAll(strings.TrimSpace(pems[1]), "\n", "\n      ") + "\n"
	if err := os.Mkdir(filepath.Join(dir, "sub"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string]string{"host.yaml": text, "sub/ca.pem": "# comments may stand around it\n" + pems[0]} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(data), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	set, err := (&Loader{}).Load([]string{filepath.Join(dir, "host.yaml")})
	if err != nil {
		t.Fatal(err)
	}
	if got := set.Document.Host.Trust.OperatorCAs; !slices.Equal(got, pems) {
		t.Errorf("%q\nwant %q", got, pems)
	}
	if _, err := set.Build(); err != nil {
		t.Error(err)
	}
}
