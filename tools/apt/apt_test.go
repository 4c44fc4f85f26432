package apt

import (
	"archive/tar"
	"bytes"
	"regexp"
	"testing"
)

func TestParseFieldsTakesTheFirstParagraph(t *testing.T) {
	got := parseFields("Package: a\nDepends: b (= 1:2),\n c\nVersion: 1:2\n\nPackage: other\n")
	want := map[string]string{"Package": "a", "Depends": "b (= 1:2),", "Version": "1:2"}
	if len(got) != len(want) {
		t.Errorf("got %q, want %q", got, want)
	}
	for k, v := range want {
		if got[k] != v {
			t.Errorf("%s is %q, want %q", k, got[k], v)
		}
	}
}

func TestReadTarFindsTheRegularFile(t *testing.T) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range []tar.Header{
		{Name: "./boot/", Typeflag: tar.TypeDir},
		{Name: "./boot/vmlinuz", Typeflag: tar.TypeSymlink, Linkname: "vmlinuz-6.1"},
		{Name: "./boot/vmlinuz-6.1", Typeflag: tar.TypeReg, Size: 6},
	} {
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
	}
	w.Write([]byte("kernel"))
	w.Close()
	got, err := readTar(bytes.NewReader(b.Bytes()), regexp.MustCompile(`^\./boot/vmlinuz`))
	if err != nil || string(got) != "kernel" {
		t.Errorf("got %q, %v", got, err)
	}
	if got, err := readTar(bytes.NewReader(b.Bytes()), regexp.MustCompile(`initrd`)); err == nil {
		t.Errorf("found %q where there is none", got)
	}
	if got, err := readTar(bytes.NewReader(b.Bytes()[:1540]), regexp.MustCompile(`vmlinuz`)); err == nil {
		t.Errorf("read %q from what is cut off", got)
	}
}
