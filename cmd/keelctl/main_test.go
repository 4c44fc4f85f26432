package main

import (
	"encoding/json"
	"maps"
	"os"
	"strings"
	"testing"

	"keel/vmkernel/seed"
)

const (
	id1 = "0b0e6a52-1d9f-4a53-9d0c-6f1f4f1f0a01"
	id2 = "0b0e6a52-1d9f-4a53-9d0c-6f1f4f1f0a02"
)

const vmYAML = `apiVersion: keel/v1
kind: VM
name: demo
memory: {size: 64MiB}
boot: {kernel: vmlinuz, cmdline: console=ttyS0}
serial: [{name: ttyS0, log: host}]
`

const hostYAML = "apiVersion: keel/v1\nkind: Host\nname: keel-1\n"

// result is what a run of the command gave.
type result struct {
	code        int
	out, errout string
}

func keelctl(args ...string) result {
	return (&session{stdin: hostYAML, env: map[string]string{"KEEL_CONFIG": "none/config.yaml"}}).run(args...)
}

func inDir(t *testing.T, files map[string]string) {
	t.Helper()
	t.Chdir(t.TempDir())
	for name, text := range files {
		write(t, name, []byte(text))
	}
}

func write(t *testing.T, name string, data []byte) {
	t.Helper()
	if err := os.WriteFile(name, data, 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestCreateMakesTheSameSeedEachTime(t *testing.T) {
	inDir(t, map[string]string{"host.yaml": hostYAML, "vm.yaml": vmYAML, "vmlinuz": "kernel"})
	r := keelctl("seed", "create", "-f", "host.yaml", "-f", "vm.yaml", "-o", "a.tar")
	want := "vm.yaml:1: note: VM demo has no id; " + id1 + " was made for this seed alone (--assign writes it here)\n" +
		"a.tar: host keel-1, 1 VM, 1 file, 4.0KiB\n"
	if r.code != 0 || r.out != "" || r.errout != want {
		t.Errorf("got %+v\nwant %s", r, want)
	}
	r = keelctl("seed", "create", "-f", "-", "-f", "vm.yaml", "--output=-")
	a, err := os.ReadFile("a.tar")
	if err != nil || r.code != 0 || r.out != string(a) {
		t.Errorf("made again, the seed differs: %v, exit code %d, %s", err, r.code, r.errout)
	}
	s, err := seed.Parse(a)
	if err != nil || len(s.VMs) != 1 || s.VMs[0].ID != id1 || s.Host.Name != "keel-1" {
		t.Errorf("read back: %+v, %v", s, err)
	}
}

func TestCreateAssignsIDsWhenAsked(t *testing.T) {
	inDir(t, map[string]string{"vm.yaml": vmYAML, "vmlinuz": "kernel"})
	r := keelctl("seed", "create", "-f", "vm.yaml", "-o", "a.tar", "--assign")
	want := "keelctl: note: no document of kind Host: the host is named keel and has the defaults\n" +
		"vm.yaml:1: note: VM demo now has the id " + id1 + "\n" +
		"a.tar: host keel, 1 VM, 1 file, 4.0KiB\n"
	if r.code != 0 || r.errout != want {
		t.Errorf("got %+v\nwant %s", r, want)
	}
	text, err := os.ReadFile("vm.yaml")
	if err != nil || string(text) != strings.Replace(vmYAML, "name: demo\n", "name: demo\nid: "+id1+"\n", 1) {
		t.Errorf("vm.yaml is now\n%s", text)
	}
}

func TestCreateOfBadYAMLWritesNothing(t *testing.T) {
	bad := strings.Replace(vmYAML, "64MiB", "3KiB", 1) + "tpm: {}\n"
	inDir(t, map[string]string{"vm.yaml": bad, "vmlinuz": "kernel", "a.tar": "old"})
	const want = "vm.yaml:4: memory.size: 3KiB is below the minimum of 4MiB\n" +
		"vm.yaml:7: tpm: \"tpm\" is not in this version of Keel: leave it out\n"
	for _, r := range []result{
		keelctl("seed", "create", "-f", "vm.yaml", "-o", "a.tar", "--assign"),
		keelctl("seed", "check", "-f", "vm.yaml"),
	} {
		if r.code != 1 || r.out != "" || r.errout != want {
			t.Errorf("got %+v\nwant %s", r, want)
		}
	}
	if text, _ := os.ReadFile("vm.yaml"); string(text) != bad {
		t.Error("vm.yaml has changed")
	}
	if text, _ := os.ReadFile("a.tar"); string(text) != "old" {
		t.Error("a.tar has changed")
	}
	if left, _ := os.ReadDir("."); len(left) != 3 {
		t.Errorf("files left behind: %v", left)
	}
}

func TestWrongCommandLineIsExitCode2(t *testing.T) {
	inDir(t, nil)
	tests := []struct {
		args []string
		want string
	}{
		{[]string{"bogus"}, "keelctl: unknown command \"bogus\" for \"keelctl\"\nkeelctl: `keelctl --help` says how it is used\n"},
		{[]string{"seed", "bogus"}, "keelctl: unknown command \"bogus\" for \"keelctl seed\"\nkeelctl: `keelctl seed --help` says"},
		{[]string{"seed", "create", "-f", "x"}, `keelctl: required flag(s) "output" not set`},
		{[]string{"seed", "create", "-o", "x"}, `keelctl: required flag(s) "file" not set`},
		{[]string{"seed", "create", "-x"}, `keelctl: unknown shorthand flag: 'x' in -x`},
		{[]string{"seed", "check"}, "keelctl: nothing to check: give -f FILE.yaml or SEED.tar"},
		{[]string{"seed", "check", "-f", "x", "y"}, "keelctl: -f and a seed (y) can't be checked together"},
		{[]string{"seed", "show"}, "keelctl: give one seed, not 0"},
		{[]string{"seed", "show", "x", "-o", "xml"}, "keelctl: --output xml is not possible: give text or json"},
	}
	for _, test := range tests {
		r := keelctl(test.args...)
		if r.code != 2 || r.out != "" || !strings.HasPrefix(r.errout, test.want) {
			t.Errorf("%q: %+v\nwant %s", test.args, r, test.want)
		}
	}
}

func TestMissingFilesAreExitCode1(t *testing.T) {
	inDir(t, map[string]string{"vm.yaml": vmYAML, "vmlinuz": "kernel"})
	for _, args := range [][]string{
		{"seed", "create", "-f", "nope.yaml", "-o", "a.tar"},
		{"seed", "check", "-f", "nope.yaml"},
		{"seed", "check", "nope.tar"},
		{"seed", "show", "nope.tar"},
		{"seed", "create", "-f", "vm.yaml", "-o", "nope/a.tar"},
	} {
		if r := keelctl(args...); r.code != 1 || !strings.Contains(r.errout, "keelctl: ") || !strings.Contains(r.errout, "nope") || r.out != "" {
			t.Errorf("%q: %+v", args, r)
		}
	}
}

func TestCheckAndShowOfASeed(t *testing.T) {
	inDir(t, map[string]string{"vm.yaml": hostYAML + "---\n" + vmYAML + "labels: {a: b}\n", "vmlinuz": "kernel"})
	if r := keelctl("seed", "create", "-f", "vm.yaml", "-o", "a.tar"); r.code != 0 {
		t.Fatalf("%+v", r)
	}
	if r := keelctl("seed", "check", "a.tar"); r != (result{0, "a.tar: good: host keel-1, 1 VM, 1 file, 4.0KiB\n", ""}) {
		t.Errorf("check: %+v", r)
	}
	if r := keelctl("seed", "check", "-f", "vm.yaml"); r != (result{0, "vm.yaml: good: host keel-1, 1 VM, 1 file, 4.0KiB\n", ""}) {
		t.Errorf("check -f: %+v", r)
	}
	r := keelctl("seed", "show", "a.tar")
	for _, want := range []string{
		"host keel-1\n", "\nVM demo\n", "  id            " + id1 + "\n", "  memory        64MiB\n", "  kernel        vmlinuz\n",
		"  serial        ttyS0, lines go to the host's log\n", "  label         a=b\n", "\nfiles\n  vmlinuz  6 bytes  sha256 ",
	} {
		if !strings.Contains(r.out, want) {
			t.Errorf("show lacks %q:\n%s", want, r.out)
		}
	}
	r = keelctl("seed", "show", "a.tar", "-o", "json")
	var d struct{ Files map[string]seed.FileInfo }
	if err := json.Unmarshal([]byte(r.out), &d); err != nil || d.Files["vmlinuz"].Size != 6 || !strings.Contains(r.out, `"stopTimeout": "30s"`) {
		t.Errorf("show -o json: %v\n%s", err, r.out)
	}

	archive, err := os.ReadFile("a.tar")
	if err != nil {
		t.Fatal(err)
	}
	write(t, "short.tar", archive[:len(archive)-512])
	want := "keelctl: short.tar: the archive is cut off: the end-of-archive mark needs 1024 bytes at byte 3072, there are 512\n"
	for _, what := range []string{"check", "show"} {
		if r := keelctl("seed", what, "short.tar"); r != (result{1, "", want}) {
			t.Errorf("%s: %+v\nwant %s", what, r, want)
		}
	}
}

func TestPolicyIsShownInTheUnitsThatItIsWrittenIn(t *testing.T) {
	before := maps.Clone(seed.Later)
	defer func() { seed.Later = before }()
	seed.Later["host"], seed.Later["vm.cpu"], seed.Later["vm.memory"] = nil, nil, nil
	inDir(t, map[string]string{"vmlinuz": "kernel", "vm.yaml": hostYAML + `pools:
  - {name: web, cpu: {reservation: 100%, limit: 250%}, memory: {shares: 1, reservation: 1GiB}}
  - {name: app, parent: web}
---
` + strings.Replace(vmYAML, "{size: 64MiB}", "{size: 64MiB, reservation: 16MiB, limit: 48MiB}", 1) +
		"cpu: {count: 2, reservation: 12.5%, limit: 150%, affinity: [3, 0], pool: web}\n"})
	if r := keelctl("seed", "create", "-f", "vm.yaml", "-o", "a.tar"); r.code != 0 {
		t.Fatalf("%+v", r)
	}
	r := keelctl("seed", "show", "a.tar")
	const want = `
pool web
  processors  4000 shares, 100% reserved, at most 250%
  memory      1 share, 1GiB reserved

pool app
  in          web
  processors  4000 shares
  memory      163840 shares

VM demo
  id            ` + id1 + `
  machine       keel-1
  processors    2, keel-x86-1
                2000 shares, 12.5% reserved, at most 150%, in pool web
                runs on 0, 3
  memory        64MiB
                640 shares, 16MiB reserved, at most 48MiB
`
	if !strings.Contains(r.out, want) {
		t.Errorf("show:\n%s\nwant in it%s", r.out, want)
	}
	if r := keelctl("seed", "create", "--help"); !strings.Contains(r.out, "100% is one logical processor") {
		t.Errorf("help doesn't say how:\n%s", r.out)
	}
	seed.Later = before
	if r := keelctl("seed", "show", "a.tar"); len(before["vm.cpu"]) > 0 && (r.code != 1 || !strings.Contains(r.errout, "host.pools: \"pools\" is not in this version")) {
		t.Errorf("with what isn't obeyed: %+v", r)
	}
}

func TestRefusedVMsOfASeedAreShown(t *testing.T) {
	good := seed.VM{Name: "good", ID: id1, Machine: seed.Machine, CPU: seed.CPU{Count: 1, Model: seed.CPUModel}, Memory: seed.Memory{Size: 4 << 20},
		Boot:       seed.Boot{Firmware: "direct", Direct: seed.Direct{Kernel: "k"}},
		OnPowerOff: seed.Stop, OnReboot: seed.Stop, OnCrash: seed.Stop}
	bad := good
	bad.Name, bad.ID, bad.CPU.Count, bad.Memory.Size = "bad", id2, 300, 3072
	archive, err := seed.Pack(seed.DefaultHost(), []seed.VM{good, bad}, map[string][]byte{"k": []byte("kernel")})
	if err != nil {
		t.Fatal(err)
	}
	inDir(t, nil)
	write(t, "a.tar", archive)
	r := keelctl("seed", "check", "a.tar")
	want := "keelctl: a.tar: keel.json: vms[1].cpu.count: 300 is above the maximum of 8\n" +
		"keelctl: a.tar: keel.json: vms[1].memory.size: 3KiB is below the minimum of 4MiB\n"
	if r != (result{1, "", want}) {
		t.Errorf("check: %+v\nwant %s", r, want)
	}
	r = keelctl("seed", "show", "a.tar")
	if r.code != 1 || !strings.Contains(r.out, "\nVM good\n") ||
		!strings.Contains(r.out, "\nVM bad\n  refused  vms[1].cpu.count: 300 is above the maximum of 8\n") || r.errout == "" {
		t.Errorf("show: %+v", r)
	}
	r = keelctl("seed", "show", "-o", "json", "a.tar")
	if r.code != 1 || !strings.Contains(r.out, `"refused": [`) {
		t.Errorf("show -o json: %+v", r)
	}
}

func TestHelpAndVersion(t *testing.T) {
	for _, args := range [][]string{{}, {"--help"}, {"seed"}, {"seed", "create", "--help"}, {"seed", "check", "-h"}, {"help", "seed", "show"}, {"version"}} {
		if r := keelctl(args...); r.code != 0 || r.out == "" || r.errout != "" {
			t.Errorf("%q: %+v", args, r)
		}
	}
}
