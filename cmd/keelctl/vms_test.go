package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"

	"keel/vmkernel/api"
	"keel/vmkernel/seed"
)

// vmNamed writes the YAML of a VM.
func vmNamed(t *testing.T, name, id string) string {
	t.Helper()
	file := name + "-" + id[30:] + ".yaml"
	write(t, file, []byte(strings.Replace(vmYAML, "name: demo\n", "name: "+name+"\nid: "+id+"\n", 1)))
	return file
}

func TestAListOfManyVMsIsOneCall(t *testing.T) {
	s, r := managed(t, rigOptions{})
	for i := range 1000 {
		spec := seed.VM{Name: fmt.Sprintf("vm-%d", i), ID: fmt.Sprintf("0b0e6a52-1d9f-4a53-9d0c-%012d", i), CPU: seed.CPU{Count: 1}, Memory: seed.Memory{Size: 64 << 20}}
		r.VMs.Add(spec)
	}
	records := func() int64 {
		head, err := r.Log.Head()
		if err != nil {
			t.Fatal(err)
		}
		return head.Size
	}
	before := records()
	out := s.must(t, "vm", "list").out
	if strings.Count(out, "\n") != 1001 {
		t.Errorf("%d lines", strings.Count(out, "\n"))
	}
	if calls := records() - before; calls > 2 { // an intent and an outcome
		t.Errorf("it left %d records", calls)
	}
}

func TestImagesAreSentOnceAndGoOn(t *testing.T) {
	inDir(t, map[string]string{"big": strings.Repeat("0123456789abcdef", 400_000), "small": "x"})
	s, r := managed(t, rigOptions{space: 8 << 20})
	// As an upload leaves it that was broken off.
	info, err := describeFile("big")
	if err != nil {
		t.Fatal(err)
	}
	s.must(t, "query", "POST", "/v1/images", "--data", fmt.Sprintf(`{"name":"big","size":%d,"sha256":%q}`, info.Size, info.SHA256))
	if _, err := r.Images.Append("big", 0, strings.NewReader(strings.Repeat("0123456789abcdef", 1000))); err != nil {
		t.Fatal(err)
	}
	got := s.must(t, "image", "upload", "big", "small")
	if !strings.Contains(got.errout, "goes on at 15.6KiB") || !strings.Contains(got.errout, "big: uploaded") || !strings.Contains(got.errout, "small: uploaded") {
		t.Errorf("%s", got.errout)
	}
	if got := s.must(t, "image", "upload", "big"); !strings.Contains(got.errout, "was there already") {
		t.Errorf("%s", got.errout)
	}
	write(t, "big", []byte(strings.Repeat("y", 3<<20)))
	s.fails(t, 5, "big", "image", "upload", "big")
	s.fails(t, 1, "3145728", "image", "upload", "big", "--name", "other")
	if out := s.must(t, "image", "list").out; !strings.Contains(out, "small") || !strings.Contains(out, "free") {
		t.Errorf("%s", out)
	}
	s.must(t, "image", "delete", "small", "big")

	// On a terminal there is a bar.
	s.tty = true
	if got := s.must(t, "image", "upload", "big"); !strings.Contains(got.errout, " / 3.0 MiB") || !strings.Contains(got.errout, "big: uploaded") {
		t.Errorf("%q", got.errout)
	}
	s.tty = false
	s.fails(t, 3, "small", "image", "delete", "small")
	s.fails(t, 1, "no such file", "image", "upload", "nope")
}

func TestAFileOfTheSameNameIsAnotherImage(t *testing.T) {
	s, r := running(t)
	write(t, "vmlinuz", []byte("another kernel"))
	s.must(t, "vm", "create", "-f", vmNamed(t, "two", id2))
	spec, _ := r.VMs.Get("two").Spec()
	if !strings.HasPrefix(spec.Boot.Direct.Kernel, "vmlinuz-") {
		t.Errorf("its kernel is %s", spec.Boot.Direct.Kernel)
	}
	// What is no file here is an image there.
	os.Remove("vmlinuz")
	s.must(t, "vm", "create", "-f", vmNamed(t, "three", "0b0e6a52-1d9f-4a53-9d0c-6f1f4f1f0a03"))
	if spec, _ := r.VMs.Get("three").Spec(); spec.Boot.Direct.Kernel != "vmlinuz" {
		t.Errorf("its kernel is %s", spec.Boot.Direct.Kernel)
	}
	write(t, "host.yaml", []byte(hostYAML))
	s.fails(t, 1, "the host runs already", "vm", "create", "-f", "host.yaml")
}

func TestAnUpdateDoesNotUndoAnothers(t *testing.T) {
	s, r := running(t)
	write(t, "vm.yaml", []byte(strings.Replace(vmYAML, "64MiB", "128MiB", 1)))
	if got := s.must(t, "vm", "update", "-f", "vm.yaml", "--dry-run"); !strings.Contains(got.out, "update") {
		t.Errorf("%s", got.out)
	}
	if spec, _ := r.VMs.Get("demo").Spec(); spec.Memory.Size != 64<<20 {
		t.Fatal("a dry run has changed it")
	}
	s.fails(t, 5, "has to be stopped", "vm", "update", "-f", "vm.yaml")
	s.must(t, "vm", "kill", "demo", "--wait")
	s.must(t, "vm", "update", "-f", "vm.yaml")
	spec, revision := r.VMs.Get("demo").Spec()
	if spec.Memory.Size != 128<<20 || spec.ID != id1 || revision != 2 {
		t.Errorf("%+v %d", spec, revision)
	}
	s.fails(t, 5, "", "query", "PUT", "/v1/vms/demo", "--if-match", `"stale"`, "--data", mustJSON(t, spec))
	s.fails(t, 3, id2, "vm", "update", "-f", vmNamed(t, "nope", id2))
}

func TestADryRunSaysWhatIsSo(t *testing.T) {
	s, _ := running(t)
	if got := s.must(t, "vm", "update", "-f", "vm.yaml", "--dry-run"); !strings.Contains(got.out, "none") {
		t.Errorf("%s", got.out)
	}
	if got := s.must(t, "vm", "create", "-f", vmNamed(t, "demo", id1), "--dry-run"); !strings.Contains(got.out, "none") {
		t.Errorf("%s", got.out)
	}
	write(t, "vm.yaml", []byte(strings.Replace(vmYAML, "64MiB", "128MiB", 1)))
	if got := s.must(t, "vm", "update", "-f", "vm.yaml", "--dry-run"); !strings.Contains(got.out, "update") {
		t.Errorf("%s", got.out)
	}
	text := strings.Replace(vmYAML, "name: demo\n", "name: demo\nid: "+id1+"\n", 1)
	write(t, "other.yaml", []byte(strings.Replace(text, "64MiB", "128MiB", 1)))
	s.fails(t, 5, "another description", "vm", "create", "-f", "other.yaml", "--dry-run")
	// An image that isn't there isn't said to be there.
	write(t, "lost.yaml", []byte(strings.NewReplacer("name: demo\n", "name: two\nid: "+id2+"\n", "kernel: vmlinuz", "kernel: nope").Replace(vmYAML)))
	got := s.fails(t, 3, "nope", "vm", "create", "-f", "lost.yaml", "--dry-run", "-o", "json")
	var plans []planned
	if err := json.Unmarshal([]byte(got.out), &plans); err != nil || len(plans) != 1 || len(plans[0].Images) != 0 || !reflect.DeepEqual(plans[0].Missing, []string{"nope"}) {
		t.Errorf("%v %s", err, got.out)
	}
}

func TestEventsAreThoseOfTheVM(t *testing.T) {
	of := eventsOfVM{name: "demo", id: id1}
	for _, c := range []struct {
		e    api.Event
		want bool
	}{
		{api.Event{Kind: "vm.started", VM: "its-old-name", ID: id1}, true},
		{api.Event{Kind: "vm.started", VM: "demo", ID: id2}, false}, // one of that name that was deleted
		{api.Event{Kind: "operation.succeeded", VM: "demo", ID: "4f2b"}, true},
		{api.Event{Kind: "operation.succeeded", VM: "other", ID: "4f2c"}, false},
		{api.Event{Kind: "lost"}, true},
	} {
		if got := of.about(c.e); got != c.want {
			t.Errorf("%+v: %v", c.e, got)
		}
	}
}

func TestTheConfigurationsFormatIsThatOfAllResults(t *testing.T) {
	s, _ := running(t)
	config, err := os.ReadFile(s.env["KEEL_CONFIG"])
	if err != nil {
		t.Fatal(err)
	}
	write(t, s.env["KEEL_CONFIG"], append(config, "\noutput: json\n"...))
	for _, line := range []string{"vm pause demo", "vm resume demo", "vm kill demo --wait", "vm start demo --wait", "vm create -f vm.yaml"} {
		if got := s.must(t, strings.Fields(line)...); !json.Valid([]byte(got.out)) {
			t.Errorf("%s: %q", line, got.out)
		}
	}
}

func TestAFaultOfOneVMStopsNoOther(t *testing.T) {
	s, r := running(t)
	const id3 = "0b0e6a52-1d9f-4a53-9d0c-6f1f4f1f0a03"
	taken, three := vmNamed(t, "demo", id2), vmNamed(t, "three", id3)
	// The second is made and started, whatever is wrong with the first.
	s.fails(t, 5, "demo", "vm", "create", "-f", taken, "-f", three, "--start", "--wait")
	if v := r.VMs.Get("three"); v == nil || v.State() != "running" {
		t.Fatalf("%+v", v)
	}
	s.must(t, "vm", "kill", "three", "--wait")
	// The second is changed, though the first isn't there.
	write(t, "gone.yaml", []byte(strings.Replace(vmYAML, "name: demo\n", "name: gone\nid: "+id2+"\n", 1)))
	write(t, three, []byte(strings.NewReplacer("name: demo\n", "name: three\nid: "+id3+"\n", "64MiB", "96MiB").Replace(vmYAML)))
	s.fails(t, 3, id2, "vm", "update", "-f", "gone.yaml", "-f", three)
	if spec, _ := r.VMs.Get("three").Spec(); spec.Memory.Size != 96<<20 {
		t.Errorf("%d", spec.Memory.Size)
	}
}

func TestADescriptionIsEdited(t *testing.T) {
	s, r := running(t)
	text := s.must(t, "vm", "get", "demo", "--manifest").out
	write(t, "again.yaml", []byte(text))
	s.must(t, "vm", "update", "-f", "again.yaml")
	if spec, _ := r.VMs.Get("demo").Spec(); !reflect.DeepEqual(*spec, r.VMs.Get("demo").Made()) {
		t.Errorf("%+v\nbecame %+v by %s", r.VMs.Get("demo").Made(), *spec, text)
	}

	script := func(line string) string {
		write(t, "editor.sh", []byte("#!/bin/sh\n"+line+"\n"))
		os.Chmod("editor.sh", 0o755)
		path, err := filepath.Abs("editor.sh")
		if err != nil {
			t.Fatal(err)
		}
		return path
	}
	if runtime.GOOS == "windows" {
		t.Skip("the editor is a shell script")
	}
	s.env["EDITOR"] = script(`sed -i s/64MiB/96MiB/ "$1"`)
	s.must(t, "vm", "kill", "demo", "--wait")
	s.must(t, "vm", "edit", "demo")
	if spec, _ := r.VMs.Get("demo").Spec(); spec.Memory.Size != 96<<20 {
		t.Errorf("%d", spec.Memory.Size)
	}
	_, revision := r.VMs.Get("demo").Spec()
	s.env["EDITOR"] = script("true")
	if got := s.must(t, "vm", "edit", "demo"); !strings.Contains(got.errout, "nothing was changed") {
		t.Errorf("%s", got.errout)
	}
	s.env["EDITOR"] = script(`sed -i s/96MiB/3KiB/ "$1"`)
	s.fails(t, 1, "what you wrote is kept in", "vm", "edit", "demo")
	s.env["EDITOR"] = script("false")
	s.fails(t, 1, "the editor", "vm", "edit", "demo")
	if _, now := r.VMs.Get("demo").Spec(); now != revision {
		t.Error("it was changed all the same")
	}
}

func mustJSON(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
