package seed

import (
	"encoding/json"
	"strings"
	"testing"
)

// vmWith returns a VM's JSON with one key of its tree replaced, or removed if value is empty.
func vmWith(t *testing.T, path, value string) string {
	t.Helper()
	vm := full()
	vm.Name, vm.ID = "bad", id2
	vm.Boot.Direct.Kernel, vm.Boot.Direct.Initrd, vm.Boot.Direct.Modules = "k", "", nil
	vm.CPU, vm.Memory = CPU{Count: 2, Model: CPUModel}, Memory{Size: 256 << 20}
	text, err := json.Marshal(vm)
	if err != nil {
		t.Fatal(err)
	}
	var tree map[string]any
	if err := json.Unmarshal(text, &tree); err != nil {
		t.Fatal(err)
	}
	keys := strings.Split(path, ".")
	at := tree
	for _, key := range keys[:len(keys)-1] {
		at = at[key].(map[string]any)
	}
	last := keys[len(keys)-1]
	if value == "" {
		delete(at, last)
	} else {
		at[last] = json.RawMessage(value)
	}
	text, err = json.Marshal(tree)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestBadVMIsRefusedAndTheOthersAreKept(t *testing.T) {
	modules := `[` + strings.Repeat(`{"file":"k"},`, 16) + `{"file":"k"}]`
	tests := []struct{ path, value, want string }{
		{"name", ``, `name: is missing`},
		{"name", `"-A-"`, `name: "-A-" is not a name`},
		{"name", `""`, `name: "" is not a name`},
		{"name", `"` + strings.Repeat("a", 64) + `"`, `is not a name; it has 1 to 63`},
		{"name", `7`, `name: 7 is not text: put it in quotes`},
		{"name", `"good"`, `name: "good" is taken by another VM (vms[0].name)`},
		{"id", ``, `id: is missing: give a UUID`},
		{"id", `"0b0e6a52-..."`, `id: "0b0e6a52-..." is not a UUID`},
		{"id", `"00000000-0000-0000-0000-000000000000"`, `is not a UUID`},
		{"id", `"` + strings.ToUpper(id1) + `"`, `id: "` + id1 + `" is taken by another VM (vms[0].id)`},
		{"machine", `"keel-2"`, `machine: "keel-2" is not possible; give keel-1`},
		{"cpu", `2`, `cpu: 2 is not a group of keys`},
		{"cpu.count", `0`, `cpu.count: 0 is below the minimum of 1`},
		{"cpu.count", `-1`, `cpu.count: -1 is below the minimum of 1`},
		{"cpu.count", `300`, `cpu.count: 300 is above the maximum of 8`},
		{"cpu.count", `99999999999999999999999`, `is above the maximum of 8`},
		{"cpu.count", `1.5`, `cpu.count: 1.5 is not a whole number`},
		{"cpu.count", `"2"`, `cpu.count: "2" is not a number`},
		{"cpu.model", `"host"`, `cpu.model: "host" is not possible; give keel-x86-1`},
		{"memory", ``, `memory.size: is missing`},
		{"memory.size", ``, `memory.size: is missing`},
		{"memory.size", `0`, `memory.size: 0 bytes is below the minimum of 4MiB`},
		{"memory.size", `3072`, `memory.size: 3KiB is below the minimum of 4MiB`},
		{"memory.size", `4198401`, `memory.size: 4198401 bytes is not a multiple of 4KiB`},
		{"memory.size", `1099511631872`, `memory.size: 1073741828KiB is above the maximum of 1024GiB`},
		{"memory.size", `99999999999999999999999`, `is above the maximum of 1024GiB`},
		{"memory.size", `-1`, `memory.size: -1 is not a whole number of bytes`},
		{"memory.size", `"256MiB"`, `memory.size: "256MiB" is not a number of bytes`},
		{"boot", ``, `boot.direct.kernel: is missing: give the kernel's file`},
		{"boot.firmware", `"uefi"`, `boot.firmware: "uefi" is not in this version of Keel: give direct`},
		{"boot.direct.kernel", ``, `boot.direct.kernel: is missing`},
		{"boot.direct.kernel", `"nope"`, `boot.direct.kernel: "nope" is not in the seed's files`},
		{"boot.direct.initrd", `"../k"`, `boot.direct.initrd: "../k" is not in the seed's files`},
		{"boot.direct.initrd", `""`, `boot.direct.initrd: "" is not in the seed's files`},
		{"boot.direct.cmdline", `"a\nb"`, `boot.direct.cmdline: "a\nb" has unprintable characters`},
		{"boot.direct.cmdline", `"a\u009b2J"`, `boot.direct.cmdline: "a\u009b2J" has unprintable characters`},
		{"boot.direct.cmdline", `"` + strings.Repeat("a", 2048) + `"`, `boot.direct.cmdline: is 2048 bytes long; at most 2047 are possible`},
		{"boot.direct.modules", modules, `boot.direct.modules: has 17 entries; at most 16 are possible`},
		{"boot.direct.modules", `[{"cmdline":"x"}]`, `boot.direct.modules[0].file: is missing`},
		{"boot.direct.modules", `[{"file":"k","name":"x"}]`, `boot.direct.modules[0].name: unknown key; the keys here are file, cmdline`},
		{"boot.kernel", `"k"`, `boot.kernel: unknown key; the keys here are firmware, direct`},
		{"serial", `[{"name":"ttyS4"}]`, `serial[0].name: "ttyS4" is not possible`},
		{"serial", `[{"name":"ttyS0"},{"name":"ttyS0"}]`, `serial[1].name: "ttyS0" is there twice`},
		{"serial", `[{"name":"ttyS0","log":"file"}]`, `serial[0].log: "file" is not possible; give none or host`},
		{"serial", `[{"log":"host"}]`, `serial[0].name: is missing`},
		{"serial", `["ttyS0"]`, `serial[0]: "ttyS0" is not a group of keys`},
		{"autostart.enabled", `"yes"`, `autostart.enabled: "yes" is not true or false`},
		{"autostart.order", `10000`, `autostart.order: 10000 is above the maximum of 9999`},
		{"autostart.delay", `5`, `autostart.delay: 5 has no unit`},
		{"autostart.delay", `"-1s"`, `autostart.delay: "-1s" is below the minimum of 0s`},
		{"stopTimeout", `"25h"`, `stopTimeout: "25h" is above the maximum of 24h0m0s`},
		{"stopTimeout", `"soon"`, `stopTimeout: "soon" is not a duration`},
		{"onPowerOff", `"explode"`, `onPowerOff: "explode" is not possible; give stop or restart or delete`},
		{"onReboot", `"Stop"`, `onReboot: "Stop" is not possible`},
		{"onCrash", `[]`, `onCrash: is a list, not text`},
		{"labels", `[]`, `labels: is a list, not a group of keys`},
		{"labels.a b", `"x"`, `labels."a b": a label's name has`},
		{"labels.a", `"\u001b[2J"`, `labels.a: "\x1b[2J": a label's value has`},
		{"labels.a", `1`, `labels.a: 1 is not text: put it in quotes`},
		{"debug", `{"exitPort":0}`, `debug.exitPort: 0 is below the minimum of 1`},
		{"debug", `{"exitPort":65536}`, `debug.exitPort: 65536 is above the maximum of 65535`},
		{"disks", `[]`, `disks: "disks" is not in this version of Keel: leave it out`},
		{"nics", `[]`, `nics: "nics" is not in this version`},
		{"displays", `[]`, `displays: "displays" is not in this version`},
		{"tpm", `{}`, `tpm: "tpm" is not in this version`},
		{"colour", `1`, `colour: unknown key; the keys here are name, id, machine, cpu, memory, boot,`},
	}
	good := `{"name":"good","id":"` + id1 + `","memory":{"size":4194304},"boot":{"direct":{"kernel":"k"}}}`
	last := `{"name":"last","id":"` + strings.Replace(id1, "a01", "a99", 1) + `","memory":{"size":4194304},"boot":{"direct":{"kernel":"k"}}}`
	for _, test := range tests {
		text := `{"apiVersion":"keel/v1","vms":[` + good + `,` + vmWith(t, test.path, test.value) + `,` + last + `],FILES}`
		s, err := Parse(ofJSON(t, text))
		if err != nil {
			t.Errorf("%s = %.40s: whole seed refused: %v", test.path, test.value, err)
			continue
		}
		if len(s.VMs) != 2 || s.VMs[0].Name != "good" || s.VMs[1].Name != "last" || len(s.Refused) != 1 {
			t.Errorf("%s = %.40s: %d VMs, refused %v", test.path, test.value, len(s.VMs), s.Refused)
			continue
		}
		r := s.Refused[0]
		line := r.Error()
		if len(r.Problems) != 1 || !strings.HasPrefix(line, "seed: keel.json: vms[1].") || !strings.Contains(line, test.want) ||
			strings.ContainsAny(line, "\n\x1b") || r.Index != 1 {
			t.Errorf("%s = %.40s: index %d, %s\nwant %s", test.path, test.value, r.Index, line, test.want)
		}
		if want := "bad"; test.path != "name" && r.VM != want {
			t.Errorf("%s = %.40s: refused VM is named %q, want %q", test.path, test.value, r.VM, want)
		}
	}
}

func TestElementThatIsNoVMIsOneRefusal(t *testing.T) {
	s, err := Parse(ofJSON(t, `{"apiVersion":"keel/v1","vms":[7,[]],FILES}`))
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Refused) != 2 || s.Refused[0].Error() != "seed: keel.json: vms[0]: 7 is not a group of keys" || len(s.Refused[1].Problems) != 1 {
		t.Errorf("refused %v", s.Refused)
	}
}

func TestFilesLargerThanMemoryAreRefused(t *testing.T) {
	for want, memory := range map[string]Memory{
		"size: 4MiB is too little for the files that it starts with, 4194306 bytes":  {Size: 4 << 20},
		"limit: 4MiB is too little for the files that it starts with, 4194306 bytes": {Size: 8 << 20, Share: Share{Shares: 1, Limit: 4 << 20}},
	} {
		vm := full()
		vm.Memory = memory
		s, err := Parse(pack(t, pooled(), []VM{vm}, map[string][]byte{"vmlinuz": make([]byte, 1<<20), "guest/initrd.gz": make([]byte, 1<<20+1)}))
		if err != nil {
			t.Fatal(err)
		}
		if want = "seed: keel.json: vms[0].memory." + want; len(s.Refused) != 1 || s.Refused[0].Error() != want {
			t.Errorf("refused %v, want %s", s.Refused, want)
		}
	}
}
