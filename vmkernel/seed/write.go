package seed

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"time"
)

// Write writes a seed: keel.json first, then the document's files in the order of their names. The same document and
// files give the same bytes. open returns the contents of a file; Write refuses contents that are not what d.Files
// says, but does not otherwise check d: that is the Decoder's job, and tests need to write what it refuses.
func Write(w io.Writer, d *Document, open func(name string) (io.ReadCloser, error)) error {
	text, err := json.MarshalIndent(d, "", "  ")
	if err != nil {
		return fmt.Errorf("seed: %w", err)
	}
	text = append(text, '\n')
	archive := tar.NewWriter(w)
	if err := header(archive, Manifest, int64(len(text))); err != nil {
		return err
	}
	if _, err := archive.Write(text); err != nil {
		return fmt.Errorf("seed: %w", err)
	}
	names := make([]string, 0, len(d.Files))
	for name := range d.Files {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		if err := writeFile(archive, name, d.Files[name], open); err != nil {
			return err
		}
	}
	if err := archive.Close(); err != nil {
		return fmt.Errorf("seed: %w", err)
	}
	return nil
}

func header(archive *tar.Writer, name string, size int64) error {
	err := archive.WriteHeader(&tar.Header{
		Typeflag: tar.TypeReg,
		Name:     name,
		Size:     size,
		Mode:     0o644,
		ModTime:  time.Unix(0, 0),
		Format:   tar.FormatUSTAR,
	})
	if err != nil {
		return fmt.Errorf("seed: %s: %w", name, err)
	}
	return nil
}

func writeFile(archive *tar.Writer, name string, info FileInfo, open func(string) (io.ReadCloser, error)) error {
	if err := header(archive, name, info.Size); err != nil {
		return err
	}
	r, err := open(name)
	if err != nil {
		return fmt.Errorf("seed: %s: %w", name, err)
	}
	defer r.Close()
	sum := sha256.New()
	// One byte more than there should be shows that the file has grown.
	n, err := io.Copy(io.MultiWriter(archive, sum), io.LimitReader(r, info.Size+1))
	if err == tar.ErrWriteTooLong || err == nil && (n != info.Size || hex.EncodeToString(sum.Sum(nil)) != info.SHA256) {
		return fmt.Errorf("seed: %s changed while it was read: try again", name)
	}
	if err != nil {
		return fmt.Errorf("seed: %s: %w", name, err)
	}
	return nil
}

// Describe returns the FileInfo of what r reads.
func Describe(r io.Reader) (FileInfo, error) {
	sum := sha256.New()
	n, err := io.Copy(sum, r)
	return FileInfo{Size: n, SHA256: hex.EncodeToString(sum.Sum(nil))}, err
}

// Pack returns the seed of a host, VMs and files in memory, for tests and tools. Like Write it checks nothing.
func Pack(host Host, vms []VM, files map[string][]byte) ([]byte, error) {
	d := &Document{APIVersion: APIVersion, Host: host, VMs: vms, Files: map[string]FileInfo{}}
	for name, data := range files {
		sum := sha256.Sum256(data)
		d.Files[name] = FileInfo{Size: int64(len(data)), SHA256: hex.EncodeToString(sum[:])}
	}
	var b bytes.Buffer
	err := Write(&b, d, func(name string) (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(files[name])), nil
	})
	return b.Bytes(), err
}
