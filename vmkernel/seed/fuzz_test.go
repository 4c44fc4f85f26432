package seed

import (
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func opener(text string) func(string) (io.ReadCloser, error) {
	return func(string) (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(text)), nil }
}

// FuzzParse promises that no archive makes Parse panic, that each refusal is one line, and that what is accepted without
// refusals means the same after it is written again.
func FuzzParse(f *testing.F) {
	f.Add(pack(f, DefaultHost(), []VM{full()}, files()))
	f.Add(raw(f, member{name: "../x", data: "x"}))
	f.Add(make([]byte, 1024))
	f.Fuzz(func(t *testing.T, archive []byte) { checkParse(t, archive) })
}

// FuzzManifest is FuzzParse for keel.json alone, which the checksums of an archive would keep a fuzzer from.
func FuzzManifest(f *testing.F) {
	examples, err := filepath.Glob("testdata/*.json")
	if err != nil || len(examples) == 0 {
		f.Fatal("no examples: ", err)
	}
	for _, name := range examples {
		text, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
	}
	f.Fuzz(func(t *testing.T, text string) {
		k := member{name: "k", data: "kernel"}
		checkParse(t, raw(t, member{name: Manifest, data: text}, k))
	})
}

func checkParse(t *testing.T, archive []byte) {
	s, err := Parse(archive)
	if err != nil {
		if s != nil || strings.ContainsAny(err.Error(), "\n\r\x00\x1b") {
			t.Errorf("seed %v, error %q", s, err)
		}
		return
	}
	contents := map[string][]byte{}
	for name, file := range s.Files {
		contents[name] = file.Data
	}
	for _, vm := range s.VMs {
		if vm.Name == "" || vm.ID == "" || vm.CPU.Count < 1 || vm.CPU.Count > MaxCPUs || vm.Memory.Size < MinMemory {
			t.Errorf("accepted %+v", vm)
		}
		if _, ok := contents[vm.Boot.Direct.Kernel]; !ok {
			t.Errorf("accepted %+v without its kernel", vm)
		}
	}
	for _, r := range s.Refused {
		if len(r.Problems) == 0 || strings.ContainsAny(r.Error(), "\n\r\x00\x1b") {
			t.Errorf("refused with %q", r)
		}
	}
	again, err := Parse(pack(t, s.Host, s.VMs, contents))
	if err != nil {
		t.Fatalf("written again: %v", err)
	}
	if !reflect.DeepEqual(again.Host, s.Host) || len(again.Refused) > 0 || !reflect.DeepEqual(normal(again.VMs), normal(s.VMs)) {
		t.Errorf("written again: %+v, refused %v\nfirst: %+v", again.VMs, again.Refused, s.VMs)
	}
}

// normal takes the difference between empty and absent out of VMs.
func normal(vms []VM) []VM {
	for i := range vms {
		if len(vms[i].Labels) == 0 {
			vms[i].Labels = nil
		}
	}
	if len(vms) == 0 {
		return nil
	}
	return vms
}
