package manifest

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"keel/vmkernel/seed"
)

const id1 = "0b0e6a52-1d9f-4a53-9d0c-6f1f4f1f0a01"

// The policy's keys are tested whether this version of Keel obeys them or not.
func TestMain(m *testing.M) {
	seed.Later["host"] = []string{"networks", "datastores"}
	delete(seed.Later, "vm.cpu")
	delete(seed.Later, "vm.memory")
	os.Exit(m.Run())
}

// inDir makes the files in a directory of their own and makes that the working directory.
func inDir(t *testing.T, files map[string]string) {
	t.Helper()
	t.Chdir(t.TempDir())
	for name, text := range files {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// counter makes ids that are the same in each test.
func counter() func() string {
	n := 0
	return func() string {
		n++
		return fmt.Sprintf("11111111-2222-4333-8444-%012d", n)
	}
}

func load(names ...string) (*Set, error) {
	l := Loader{NewID: counter()}
	return l.Load(names)
}

const contract = `apiVersion: keel/v1
kind: Host
name: keel-1
whenIdle: poweroff         # stay | poweroff
onPanic: halt
log: {level: debug}
management: {nic: auto}
trust: {}
---
apiVersion: keel/v1
kind: VM
name: demo
id: ` + id1 + `
machine: keel-1
cpu: {count: 2, model: keel-x86-1}
memory: {size: 256MiB}
boot: {firmware: direct, direct: {kernel: vmlinuz, initrd: guest.cpio.gz, cmdline: "console=ttyS0"}}
serial: [{name: ttyS0, log: host}]
autostart: {enabled: true, order: 10, delay: 0s}
onPowerOff: stop
stopTimeout: 1m
labels: {tier: test, since: 2026-01-01}
debug: {exitPort: 0xf4}
`

func TestContractExampleMakesTheSeedItSays(t *testing.T) {
	inDir(t, map[string]string{"host.yaml": contract, "vmlinuz": "kernel", "guest.cpio.gz": "initrd"})
	set, err := load("host.yaml")
	if err != nil {
		t.Fatal(err)
	}
	archive, err := set.Build()
	if err != nil {
		t.Fatal(err)
	}
	s, err := seed.Parse(archive)
	if err != nil {
		t.Fatal(err)
	}
	host := seed.Host{Name: "keel-1", WhenIdle: seed.IdlePowerOff, OnPanic: seed.PanicHalt,
		Log: seed.HostLog{Level: "debug"}, Management: seed.Management{NIC: "auto"}}
	if !reflect.DeepEqual(s.Host, host) {
		t.Errorf("host = %+v", s.Host)
	}
	vm := seed.VM{
		Name: "demo", ID: id1, Machine: "keel-1", CPU: seed.CPU{Count: 2, Model: "keel-x86-1", Share: seed.Share{Shares: 2000}}, Memory: seed.Memory{Size: 256 << 20, Share: seed.Share{Shares: 2560}},
		Boot: seed.Boot{Firmware: "direct", Direct: seed.Direct{
			Kernel: "vmlinuz", Initrd: "guest.cpio.gz", Cmdline: "console=ttyS0"}},
		Serial:     []seed.Serial{{Name: "ttyS0", Log: seed.LogHost}},
		Autostart:  seed.Autostart{Enabled: true, Order: 10},
		OnPowerOff: seed.Stop, OnReboot: seed.Restart, OnCrash: seed.Stop,
		StopTimeout: seed.Duration(time.Minute),
		Labels:      map[string]string{"tier": "test", "since": "2026-01-01"},
		Debug:       seed.Debug{ExitPort: 0xf4},
	}
	if len(s.VMs) != 1 || !reflect.DeepEqual(s.VMs[0], vm) {
		t.Errorf("VMs = %+v\nwant   %+v", s.VMs, vm)
	}
	if string(s.Files["vmlinuz"].Data) != "kernel" || string(s.Files["guest.cpio.gz"].Data) != "initrd" {
		t.Error("the files differ")
	}
	again, err := load("host.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if second, err := again.Build(); err != nil || !bytes.Equal(second, archive) {
		t.Errorf("made again it differs (error %v)", err)
	}
}

// vmYAML is a good VM from line 1 on, of which the line that begins with the key is replaced; other keys are added as line 7.
func vmYAML(line string) string {
	lines := []string{"apiVersion: keel/v1", "kind: VM", "name: demo", "id: " + id1, "memory: {size: 64MiB}", "boot: {kernel: k}"}
	key, _, _ := strings.Cut(line, ":")
	for i := range lines {
		if strings.HasPrefix(lines[i], key+":") {
			lines[i] = line
			return strings.Join(lines, "\n") + "\n"
		}
	}
	return strings.Join(lines, "\n") + "\n" + line + "\n"
}

const header = "apiVersion: keel/v1\nkind: Host\n"

func TestErrorsNameFileAndLine(t *testing.T) {
	tests := []struct{ yaml, want string }{
		{vmYAML("memory: {size: 3KiB}"), "host.yaml:5: memory.size: 3KiB is below the minimum of 4MiB"},
		{vmYAML("memory:\n\n  size: 0MiB"), "host.yaml:7: memory.size: 0 bytes is below the minimum of 4MiB"},
		{vmYAML("memory: {size: 268435456}"), "host.yaml:5: memory.size: 268435456 has no unit; write a whole number of KiB, MiB or GiB, as in 256MiB"},
		{vmYAML("memory: {size: 0}"), "host.yaml:5: memory.size: 0 has no unit; write a whole number of KiB, MiB or GiB, as in 256MiB"},
		{vmYAML("memory: {size: 256MB}"), `host.yaml:5: memory.size: "256MB" is not a size; write a whole number of KiB, MiB or GiB, as in 256MiB`},
		{vmYAML("memory: {size: 1.5GiB}"), `host.yaml:5: memory.size: "1.5GiB" is not a size; write a whole number of KiB, MiB or GiB, as in 256MiB`},
		{vmYAML("memory: {size: -1GiB}"), `host.yaml:5: memory.size: "-1GiB" is negative; write a whole number of KiB, MiB or GiB, as in 256MiB`},
		{vmYAML("memory: {size: 4097KiB}"), `host.yaml:5: memory.size: 4097KiB is not a multiple of 4KiB`},
		{vmYAML("memory: {size: 2048GiB}"), `host.yaml:5: memory.size: 2048GiB is above the maximum of 1024GiB`},
		{vmYAML("memory: {size: 18014398509481984GiB}"), `host.yaml:5: memory.size: 18014398509481984GiB is more than any machine has`},
		{vmYAML("memory: {size: [1]}"), `host.yaml:5: memory.size: is not a size; write a whole number of KiB, MiB or GiB, as in 256MiB`},
		{vmYAML("memory:"), `host.yaml:5: memory: has no value: give one or leave the key out`},
		{vmYAML("memory: {}"), `host.yaml:5: memory.size: is missing: give the VM's memory`},
		{vmYAML("cpu: {count: 0}"), `host.yaml:7: cpu.count: 0 is below the minimum of 1`},
		{vmYAML("cpu:\n  model: keel-x86-1\n  count: 300"), `host.yaml:9: cpu.count: 300 is above the maximum of 8`},
		{vmYAML("cpu: {count: two}"), `host.yaml:7: cpu.count: "two" is not a number`},
		{vmYAML("cpu: {count: 1e0}"), `host.yaml:7: cpu.count: 1e0 is not a whole number`},
		{vmYAML("cpu: {shares: 0}"), `host.yaml:7: cpu.shares: 0 is below the minimum of 1`},
		{vmYAML("cpu:\n  shares: -3"), `host.yaml:8: cpu.shares: -3 is below the minimum of 1`},
		{vmYAML("cpu: {shares: 2000000}"), `host.yaml:7: cpu.shares: 2000000 is above the maximum of 1000000`},
		{vmYAML("cpu: {reservation: 50}"), `host.yaml:7: cpu.reservation: 50 has no unit; write it as in 50%, where 100% is one logical processor`},
		{vmYAML("cpu: {reservation: 0.5}"), `host.yaml:7: cpu.reservation: 0.5 has no unit; write it as in 50%, where 100% is one logical processor`},
		{vmYAML("cpu: {reservation: -50%}"), `host.yaml:7: cpu.reservation: "-50%" is negative; write it as in 50%, where 100% is one logical processor`},
		{vmYAML("cpu: {reservation: 12.55%}"), `host.yaml:7: cpu.reservation: 12.55% has more than one decimal place`},
		{vmYAML("cpu: {reservation: 99999999999999999999%}"), `host.yaml:7: cpu.reservation: 99999999999999999999% is more than any machine has`},
		{vmYAML("cpu: {reservation: [1]}"), `host.yaml:7: cpu.reservation: is not a percentage; write it as in 50%, where 100% is one logical processor`},
		{vmYAML("cpu: {count: 2, reservation: 201%}"), `host.yaml:7: cpu.reservation: 201% is more than its 2 processors can use, 200%`},
		{vmYAML("cpu:\n  reservation: 60%\n  limit: 59.9%"), `host.yaml:9: cpu.limit: 59.9% is below the reservation of 60%: raise the limit or lower the reservation`},
		{vmYAML("cpu: {limit: 0%}"), `host.yaml:7: cpu.limit: 0% is below the minimum of 1%: leave it out for no limit`},
		{vmYAML("cpu:\n  affinity:\n    - 0\n    - -1"), `host.yaml:10: cpu.affinity[1]: -1 is below the minimum of 0`},
		{vmYAML("cpu: {exclusive: 1}"), `host.yaml:7: cpu.exclusive: 1 is not true or false`},
		{vmYAML("cpu: {affinity: []}"), `host.yaml:7: cpu.affinity: names no processor: leave it out for all of them`},
		{vmYAML("cpu: {pool: web}"), `host.yaml:7: cpu.pool: there is no pool "web": the host has none; name it under pools in the document of kind Host`},
		{vmYAML("memory: {size: 8MiB, reservation: 12MiB}"), `host.yaml:5: memory.reservation: 12MiB is more than the VM's memory, 8MiB`},
		{vmYAML("memory: {size: 8MiB, limit: 6MiB, reservation: 7MiB}"), `host.yaml:5: memory.limit: 6MiB is below the reservation of 7MiB: raise the limit or lower the reservation`},
		{vmYAML("memory: {size: 8MiB, reservation: 4194304}"), `host.yaml:5: memory.reservation: 4194304 has no unit; write a whole number of KiB, MiB or GiB, as in 256MiB`},
		{vmYAML("cpu: {pool: db}") + "---\n" + header + "pools:\n  - name: web\n  - {name: app, parent: web}\n",
			`host.yaml:7: cpu.pool: there is no pool "db": the host has web, app`},
		{vmYAML("cpu: {pool: web, reservation: 80%}") + "---\n" + header + "pools: [{name: web, cpu: {limit: 50%}}]\n",
			`host.yaml:7: cpu.reservation: 80% is above the limit of 50% of pool web: raise that or lower this one`},
		{header + "pools:\n  - name: a\n    parent: b\n  - name: b\n    parent: a\n",
			"host.yaml:5: pools[0].parent: is a cycle: a in b in a\nhost.yaml:7: pools[1].parent: is a cycle: b in a in b"},
		{header + "pools:\n  - name: a\n  - name: a\n", `host.yaml:5: pools[1].name: "a" is taken by another pool (host.yaml:4)`},
		{header + "pools:\n  - name: a\n    memory: {limit: 1GiB}\n  - name: b\n    parent: a\n    memory:\n      reservation: 2GiB\n",
			`host.yaml:9: pools[1].memory.reservation: 2GiB: with it the pools in a reserve 2GiB, and its limit is 1GiB: raise that or lower this one`},
		// With pools that are wrong, what VMs say of them is not judged.
		{vmYAML("cpu: {pool: b}") + "---\n" + header + "pools: [{name: b, parent: c}]\n", `host.yaml:11: pools[0].parent: there is no pool "c"`},
		{vmYAML("disks:\n  - size: 1GiB"), `host.yaml:7: disks: "disks" is not in this version of Keel: leave it out`},
		{vmYAML("nics: []"), `host.yaml:7: nics: "nics" is not in this version of Keel: leave it out`},
		{vmYAML("name: 42"), `host.yaml:3: name: 42 is not text: put it in quotes`},
		{vmYAML("name: Demo"), `host.yaml:3: name: "Demo" is not a name; it has 1 to 63 of a-z, 0-9 and -`},
		{vmYAML("name: a\nname: b"), `host.yaml:4: name: is there twice (first at host.yaml:3)`},
		{vmYAML("id: 0b0e6a52-..."), `host.yaml:4: id: "0b0e6a52-..." is not a UUID; one has the form 01234567-89ab-4def-8123-456789abcdef and is not all zeros`},
		{vmYAML("stopTimeout: 30"), `host.yaml:7: stopTimeout: 30 has no unit; write it as in 30s, 5m or 1h30m`},
		{vmYAML("autostart: {enabled: yes}"), `host.yaml:7: autostart.enabled: "yes" is not true or false`},
		{vmYAML("labels: {tier: 1}"), `host.yaml:7: labels.tier: 1 is not text: put it in quotes`},
		{vmYAML("colour: red"), `host.yaml:7: colour: unknown key; the keys here are name, id, machine, cpu, memory, boot, serial, autostart, onPowerOff, onReboot, onCrash, stopTimeout, labels, debug`},
		{vmYAML("serial:\n  - {name: ttyS0}\n  - {name: ttyS0}"), `host.yaml:9: serial[1].name: "ttyS0" is there twice`},
		{vmYAML("boot: {kernel: nope}"), `host.yaml:6: boot.kernel: nope: there is no such file (nope)`},
		{vmYAML("boot:\n  direct:\n    kernel: k\n    initrd: sub/nope.gz"), `host.yaml:9: boot.direct.initrd: sub/nope.gz: there is no such file (` + filepath.Join("sub", "nope.gz") + `)`},
		{vmYAML("boot: {kernel: dir}"), `host.yaml:6: boot.kernel: dir: is not a regular file (dir)`},
		{vmYAML("boot: {kernel: ''}"), `host.yaml:6: boot.kernel: is empty: give the name of a file`},
		{vmYAML("boot: {kernel: k, direct: {kernel: k}}"), `host.yaml:6: boot.kernel: unknown key; the keys here are firmware, direct`},
		{vmYAML("boot: {cmdline: quiet}"), `host.yaml:6: boot.kernel: is missing: give the kernel's file`},
		{vmYAML("boot: {kernel: k, kernle: k}"), `host.yaml:6: boot.kernle: unknown key; the keys here are firmware, direct`},
		{vmYAML("boot: {firmware: uefi, kernel: k}"), `host.yaml:6: boot.firmware: "uefi" is not in this version of Keel: give direct`},
		{vmYAML("boot: {kernel: big}") + "\n---\n" + strings.Replace(vmYAML("name: b"), id1, strings.ToUpper(id1), 1),
			`host.yaml:12: id: "` + id1 + `" is taken by another VM (host.yaml:4)`},
		{vmYAML("memory: {size: 4MiB}") + "cmd: 1\n---\n" + header + "name: x\n---\n" + header,
			`host.yaml:7: cmd: unknown key; the keys here are name, id, machine, cpu, memory, boot, serial, autostart, onPowerOff, onReboot, onCrash, stopTimeout, labels, debug` + "\n" +
				`host.yaml:13: there is a Host already (host.yaml:9): a seed is for one`},
		{vmYAML("boot: {kernel: big}\nmemory: {size: 4MiB}\nx: 1"),
			"host.yaml:7: memory: is there twice (first at host.yaml:5)"},
		{vmYAML("memory: {size: 4MiB}") + "---\n" + strings.Replace(vmYAML("boot: {kernel: k}"), id1, strings.Replace(id1, "01", "02", 1), 1),
			`host.yaml:10: name: "demo" is taken by another VM (host.yaml:3)`},
		{strings.Replace(vmYAML("memory: {size: 4MiB}"), "kernel: k", "kernel: big", 1),
			`host.yaml:5: memory.size: 4MiB is too little for the files that it starts with, 4194305 bytes`},
		{header + "networks: []\n", `host.yaml:3: networks: "networks" is not in this version of Keel: leave it out`},
		{header + "management:\n  vlan: 4095\n", `host.yaml:4: management.vlan: 4095 is above the maximum of 4094`},
		{header + "trust:\n  operatorCAs:\n    - nope.pem\n", `host.yaml:5: trust.operatorCAs[0]: nope.pem: there is no such file (nope.pem)`},
		{header + "trust: {operatorCAs: [k]}\n", `host.yaml:3: trust.operatorCAs[0]: has no PEM block: give one that begins with -----BEGIN CERTIFICATE-----`},
		{"kind: Host\n", `host.yaml:1: apiVersion: is missing: give keel/v1`},
		{"apiVersion: keel/v2\nkind: Host\n", `host.yaml:1: apiVersion: "keel/v2" is not possible; give keel/v1`},
		{"\napiVersion: keel/v1\nname: x\n", `host.yaml:2: kind: is missing: give Host or VM`},
		{"apiVersion: keel/v1\nkind: Network\n", `host.yaml:2: kind: "Network" is not possible; give Host or VM`},
		{"# nothing\n---\n", `host.yaml:1: has no document: give one of kind Host or VM`},
		{"", `host.yaml:1: has no document: give one of kind Host or VM`},
		{"- a\n", `host.yaml:1: is a list, not a document of kind Host or VM`},
		{header + "name: &n x\nx: *n\n", `host.yaml:4: x: YAML aliases (*n) are not possible here: write the value out`},
		{header + "x: *n\n", `host.yaml:3: unknown anchor 'n' referenced`},
		{header + "name: !custom x\n", `host.yaml:3: name: the YAML tag !custom is not possible here`},
		{header + "? [a]\n: 1\n", `host.yaml:3: has a key that is not plain text`},
		{header + "x: " + strings.Repeat("[", 30) + strings.Repeat("]", 30) + "\n", `host.yaml:3: x` + strings.Repeat("[0]", 16) + `: is nested more than 16 deep`},
		// What the YAML library finds: each with the line where it is.
		{header + "name: a: b\n", `host.yaml:3: mapping values are not allowed in this context`},
		{header + "\tname: b\n", `host.yaml:3: found a tab character that violates indentation`},
		{header + "- b\n", `host.yaml:3: did not find expected key`},
		{header + "name: }\n", `host.yaml:3: did not find expected node content`},
		{header + "name: [a\nx: y\n", `host.yaml:3: did not find expected ',' or ']'`},
		{"- a\nb: 1\n", `host.yaml:2: did not find expected '-' indicator`},
		{"a: @x\n", `host.yaml:1: found character that cannot start any token`},
	}
	inDir(t, map[string]string{"k": "kernel", "big": strings.Repeat("x", 4<<20+1), "dir/x": ""})
	for _, test := range tests {
		if err := os.WriteFile("host.yaml", []byte(test.yaml), 0o644); err != nil {
			t.Fatal(err)
		}
		_, err := load("host.yaml")
		if err == nil || err.Error() != test.want {
			t.Errorf("%s\nerror %v\nwant  %s", test.yaml, err, test.want)
		}
	}
}

func TestPolicyBecomesPlainNumbers(t *testing.T) {
	inDir(t, map[string]string{"k": "kernel", "host.yaml": vmYAML("cpu: {count: 2, shares: 2000, reservation: 50%, limit: 112.5%, affinity: [1, 0], pool: web}") + `---
apiVersion: keel/v1
kind: Host
pools:
  - {name: web, parent: all, cpu: {shares: 7, reservation: 75%}, memory: {reservation: 8MiB, limit: 1GiB}}
  - {name: all, cpu: {reservation: 100%, limit: 400%}, memory: {reservation: 1GiB}}
`})
	set, err := load("host.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := set.Build(); err != nil { // as the kernel reads it
		t.Fatal(err)
	}
	cpu := seed.CPU{Count: 2, Model: seed.CPUModel, Share: seed.Share{Shares: 2000, Reservation: 500, Limit: 1125}, Affinity: []int{0, 1}, Pool: "web"}
	if vm := set.Document.VMs[0]; !reflect.DeepEqual(vm.CPU, cpu) {
		t.Errorf("cpu = %+v, want %+v", vm.CPU, cpu)
	}
	pools := []seed.Pool{
		{Name: "all", CPU: seed.Share{Shares: seed.PoolCPUShares, Reservation: 1000, Limit: 4000}, Memory: seed.Share{Shares: seed.PoolMemoryShares, Reservation: 1 << 30}},
		{Name: "web", Parent: "all", CPU: seed.Share{Shares: 7, Reservation: 750}, Memory: seed.Share{Shares: seed.PoolMemoryShares, Reservation: 8 << 20, Limit: 1 << 30}},
	}
	if !reflect.DeepEqual(set.Document.Host.Pools, pools) {
		t.Errorf("pools = %+v, want %+v", set.Document.Host.Pools, pools)
	}
}

func TestSeveralFilesMakeOneSeed(t *testing.T) {
	vm := func(name, kernel string) string {
		return "apiVersion: keel/v1\nkind: VM\nname: " + name + "\nmemory: {size: 4MiB}\nboot: {kernel: " + kernel + "}\n"
	}
	inDir(t, map[string]string{
		"host.yaml":        header,
		"a/vms.yaml":       vm("a", "k") + "---\n" + vm("b", "./x/../k"),
		"b/vms.yaml":       vm("c", "k") + "---\n" + vm("d", "../a/k") + "---\n" + vm("e", "./keel.json") + "---\n" + vm("f", "../ü x"),
		"a/k":              "kernel a",
		"b/k":              "kernel b",
		"b/keel.json":      "not that one",
		"\u00fc x":         "odd name",
		"a/x/placeholder":  "",
		"unused/something": "",
	})
	l := Loader{NewID: counter(), Stdin: strings.NewReader(vm("g", "a/k"))}
	set, err := l.Load([]string{"host.yaml", "a/vms.yaml", "b/vms.yaml", "-"})
	if err != nil {
		t.Fatal(err)
	}
	archive, err := set.Build()
	if err != nil {
		t.Fatal(err)
	}
	s, err := seed.Parse(archive)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, vm := range s.VMs {
		kernel := vm.Boot.Direct.Kernel
		got = append(got, vm.Name+" "+kernel+"="+string(s.Files[kernel].Data))
	}
	want := []string{"a k=kernel a", "b k=kernel a", "c k-2=kernel b", "d k=kernel a", "e file-keel.json=not that one", "f __x=odd name", "g k=kernel a"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("VMs: %q\nwant %q", got, want)
	}
	if len(s.Files) != 4 {
		t.Errorf("%d files in the seed, want each content once: 4", len(s.Files))
	}
	if len(set.Unassigned) != 7 || set.Unassigned[1].Pos != "a/vms.yaml:7" || set.Unassigned[6].Pos != "standard input:1" {
		t.Errorf("unassigned: %+v", set.Unassigned)
	}
	if err := set.Assign(); err == nil || !strings.Contains(err.Error(), "an id can't be written into standard input") {
		t.Errorf("Assign: %v", err)
	}
}

func TestNewIDIsAUUID(t *testing.T) {
	a, b := NewID(), NewID()
	if a == b {
		t.Error("two ids are the same")
	}
	if len(a) != 36 || a[14] != '4' || !strings.ContainsRune("89ab", rune(a[19])) {
		t.Errorf("%s is not of version 4", a)
	}
}
