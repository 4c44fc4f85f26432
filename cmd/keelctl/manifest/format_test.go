package manifest

import (
	"maps"
	"reflect"
	"strings"
	"testing"

	"keel/vmkernel/seed"
)

func TestWhatIsFormattedIsReadBackTheSame(t *testing.T) {
	before := maps.Clone(seed.Later)
	defer func() { seed.Later = before }()
	for key := range seed.Later {
		seed.Later[key] = nil
	}
	inDir(t, map[string]string{"vm.yaml": `apiVersion: keel/v1
kind: VM
name: "007"
id: ` + id1 + `
cpu: {count: 2, shares: 17, reservation: 12.5%, limit: 200%, affinity: [0, 3], exclusive: true, pool: web}
memory: {size: 64MiB, reservation: 8KiB, limit: 48MiB, pool: web}
boot: {kernel: vmlinuz, initrd: "yes", cmdline: "a: b # c", modules: [{file: "null", cmdline: "*x"}]}
serial: [{name: ttyS0, log: host}, {name: ttyS1}]
autostart: {enabled: false, order: 3, delay: 1m30s}
onCrash: restart
stopTimeout: 45s
labels: {on: "off", "1": "2"}
debug: {exitPort: 0xf4}
`})
	loader := Loader{Running: true}
	first, err := loader.Load([]string{"vm.yaml"})
	if err != nil {
		t.Fatal(err)
	}
	text, err := Format(&first.Document.VMs[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"size: 64MiB", "reservation: 12.5%", "stopTimeout: 45s"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("lacks %q:\n%s", want, text)
		}
	}
	again := Loader{Running: true, Stdin: strings.NewReader(string(text))}
	second, err := again.Load([]string{"-"})
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	if !reflect.DeepEqual(first.Document.VMs, second.Document.VMs) {
		t.Errorf("%+v\nbecame %+v\nby %s", first.Document.VMs, second.Document.VMs, text)
	}

	// In a version that doesn't obey shares there are none.
	vm := first.Document.VMs[0]
	vm.CPU.Shares, vm.Memory.Shares = 0, 0
	if text, err := Format(&vm); err != nil || strings.Contains(string(text), "shares") {
		t.Errorf("%v %s", err, text)
	}
}
