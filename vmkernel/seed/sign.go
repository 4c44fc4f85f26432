package seed

import (
	"archive/tar"
	"bytes"
	"fmt"
	"slices"
)

// SignatureName is the archive's entry with the seed's signature, which package auth reads and makes.
const SignatureName = "keel.sig"

// Check says whether a seed is to be read, by keel.json and the signature, which is nil where there is none. It is called
// before anything of keel.json is read. auth.SeedRules have one.
type Check func(manifest, signature []byte) error

// Sign returns a seed with a signature that sign makes for its keel.json. It takes the place of the one that was there.
func Sign(archive []byte, sign func(manifest []byte) ([]byte, error)) ([]byte, error) {
	s, err := Parse(archive)
	if err != nil {
		return nil, err
	}
	if len(s.Refused) > 0 {
		return nil, s.Refused[0]
	}
	signature, err := sign(s.Manifest)
	if err != nil {
		return nil, err
	}
	entries, err := walk(archive)
	if err != nil {
		return nil, err
	}
	entries = slices.DeleteFunc(entries, func(e entry) bool { return e.name == Manifest || e.name == SignatureName })
	entries = slices.Insert(entries, 0, entry{Manifest, s.Manifest}, entry{SignatureName, signature})
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range entries {
		if err := header(w, e.name, int64(len(e.data))); err != nil {
			return nil, err
		}
		if _, err := w.Write(e.data); err != nil {
			return nil, fmt.Errorf("seed: %s: %w", e.name, err)
		}
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("seed: %w", err)
	}
	return b.Bytes(), nil
}
