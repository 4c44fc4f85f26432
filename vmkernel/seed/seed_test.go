package seed

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
)

const (
	id1 = "0b0e6a52-1d9f-4a53-9d0c-6f1f4f1f0a01"
	id2 = "0b0e6a52-1d9f-4a53-9d0c-6f1f4f1f0a02"
)

// full is a VM with every key given, none of them its default where there is a choice.
func full() VM {
	return VM{
		Name: "demo", ID: id1, Machine: Machine,
		CPU:    CPU{Count: 2, Model: CPUModel, Share: Share{Shares: 500, Reservation: 500, Limit: 1500}, Affinity: []int{0, 3}, Pool: "web"},
		Memory: Memory{Size: 256 << 20, Share: Share{Shares: 7, Reservation: 64 << 20, Limit: 128 << 20}, Pool: "web"},
		Boot: Boot{Firmware: "direct", Direct: Direct{
			Kernel: "vmlinuz", Initrd: "guest/initrd.gz", Cmdline: `console=ttyS0 a="b c"`,
			Modules: []Module{{File: "vmlinuz", Cmdline: "one"}, {File: "guest/initrd.gz"}},
		}},
		Serial:     []Serial{{"ttyS0", LogHost}, {"ttyS3", LogNone}},
		Autostart:  Autostart{Enabled: false, Order: 10, Delay: Duration(90 * time.Second)},
		OnPowerOff: Delete, OnReboot: Stop, OnCrash: Restart,
		StopTimeout: Duration(time.Minute),
		Labels:      map[string]string{"tier": "test", "example.org/owner": "Zoë"},
		Debug:       Debug{ExitPort: 0xf4},
	}
}

// pooled is a host with the pools that VMs of these tests are in, whose parents come first.
func pooled() Host {
	h := DefaultHost()
	h.Pools = []Pool{
		{Name: "all", CPU: Share{Shares: 1, Reservation: 2000, Limit: 4000}, Memory: Share{Shares: 1, Reservation: 1 << 30, Limit: 2 << 30}},
		{Name: "web", Parent: "all", CPU: Share{Shares: 4000, Reservation: 1000}, Memory: Share{Shares: 163840, Reservation: 128 << 20}},
	}
	return h
}

func files() map[string][]byte {
	return map[string][]byte{"vmlinuz": bytes.Repeat([]byte("kernel"), 1000), "guest/initrd.gz": bytes.Repeat([]byte{0xa5}, 512)}
}

func pack(t testing.TB, host Host, vms []VM, files map[string][]byte) []byte {
	t.Helper()
	b, err := Pack(host, vms, files)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// member is an entry of an archive made by raw.
type member struct {
	name string
	data string
	flag byte
}

// raw makes an archive as another tool would, of whatever entries.
func raw(t testing.TB, members ...member) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, m := range members {
		h := &tar.Header{Name: m.name, Typeflag: m.flag, Mode: 0o644, Size: int64(len(m.data))}
		if m.flag == 0 {
			h.Typeflag = tar.TypeReg
		}
		if m.flag == tar.TypeLink || m.flag == tar.TypeSymlink {
			h.Linkname = "/etc/passwd"
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(m.data)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// table is the JSON of a files table.
func table(files ...member) string {
	var parts []string
	for _, f := range files {
		sum := sha256.Sum256([]byte(f.data))
		parts = append(parts, fmt.Sprintf(`%q:{"size":%d,"sha256":"%s"}`, f.name, len(f.data), hex.EncodeToString(sum[:])))
	}
	return `"files":{` + strings.Join(parts, ",") + `}`
}

// ofJSON is a seed with this keel.json and a file "k".
func ofJSON(t testing.TB, text string) []byte {
	k := member{name: "k", data: "kernel"}
	return raw(t, member{name: Manifest, data: strings.ReplaceAll(text, "FILES", table(k))}, k)
}

func TestSeedIsReadAsWritten(t *testing.T) {
	host := Host{Name: "keel-1", WhenIdle: IdlePowerOff, OnPanic: PanicHalt, Log: HostLog{"warn"}, Management: Management{NIC: "auto"}, Pools: pooled().Pools}
	second := full()
	second.Name, second.ID = "other", id2
	archive := pack(t, host, []VM{full(), second}, files())
	s, err := Parse(archive)
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Refused) > 0 {
		t.Fatalf("refused: %v", s.Refused)
	}
	if !reflect.DeepEqual(s.Host, host) {
		t.Errorf("host = %+v, want %+v", s.Host, host)
	}
	if want := []VM{full(), second}; !reflect.DeepEqual(s.VMs, want) {
		t.Errorf("VMs = %+v\nwant  %+v", s.VMs, want)
	}
	for name, data := range files() {
		f := s.Files[name]
		if f == nil || !bytes.Equal(f.Data, data) {
			t.Errorf("file %s differs", name)
			continue
		}
		at := bytes.Index(archive, data)
		if &archive[at] != &f.Data[0] {
			t.Errorf("file %s is a copy", name)
		}
		if cap(f.Data) != len(f.Data) {
			t.Errorf("file %s can grow into the rest of the archive", name)
		}
	}
}

func TestSameSeedGivesSameBytes(t *testing.T) {
	a := pack(t, pooled(), []VM{full()}, files())
	b := pack(t, pooled(), []VM{full()}, files())
	if !bytes.Equal(a, b) {
		t.Error("two archives of the same seed differ")
	}
}

func TestSeedWithoutVMsIsASeed(t *testing.T) {
	s, err := Parse(pack(t, DefaultHost(), nil, nil))
	if err != nil || len(s.VMs)+len(s.Refused)+len(s.Files) > 0 {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestAbsentKeysHaveTheirDefaults(t *testing.T) {
	s, err := Parse(ofJSON(t, `{"apiVersion":"keel/v1","vms":[{"name":"a","id":"`+id1+`",
		"memory":{"size":4194304},"boot":{"direct":{"kernel":"k"}},"serial":[{"name":"ttyS0"}]}],FILES}`))
	if err != nil {
		t.Fatal(err)
	}
	want := VM{
		Name: "a", ID: id1, Machine: "keel-1", CPU: CPU{Count: 1, Model: "keel-x86-1", Share: Share{Shares: 1000}}, Memory: Memory{Size: 4 << 20, Share: Share{Shares: 40}},
		Boot:      Boot{Firmware: "direct", Direct: Direct{Kernel: "k"}},
		Serial:    []Serial{{"ttyS0", LogNone}},
		Autostart: Autostart{Enabled: true}, OnPowerOff: Stop, OnReboot: Restart, OnCrash: Stop,
		StopTimeout: Duration(30 * time.Second),
	}
	if len(s.VMs) != 1 || !reflect.DeepEqual(s.VMs[0], want) {
		t.Errorf("VMs = %+v, refused %v\nwant %+v", s.VMs, s.Refused, want)
	}
	if !reflect.DeepEqual(s.Host, DefaultHost()) {
		t.Errorf("host = %+v", s.Host)
	}
}

func TestArchiveCutOffAnywhereIsRefused(t *testing.T) {
	archive := pack(t, pooled(), []VM{full()}, files())
	for n := range len(archive) {
		if n%512 > 1 && n%512 < 511 && n%97 != 0 {
			continue // every boundary, what is beside it, and some between
		}
		s, err := Parse(archive[:n])
		if s != nil || err == nil {
			t.Fatalf("accepted the first %d of %d bytes", n, len(archive))
		}
		if n > 0 && !strings.Contains(err.Error(), "cut off") {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
}

func TestDamagedFileIsRefused(t *testing.T) {
	archive := pack(t, pooled(), []VM{full()}, files())
	archive[bytes.Index(archive, files()["vmlinuz"])+100] ^= 1
	if _, err := Parse(archive); err == nil || !strings.Contains(err.Error(), `file "vmlinuz" is damaged`) {
		t.Errorf("Parse: %v", err)
	}
	s, err := Open(archive)
	if err != nil {
		t.Fatalf("Open reads contents: %v", err)
	}
	if s.Files["vmlinuz"].Verify() == nil || s.Files["guest/initrd.gz"].Verify() != nil {
		t.Error("Verify does not tell the damaged file from the good one")
	}
}

func TestBrokenArchiveIsOneClearError(t *testing.T) {
	const empty = `{"apiVersion":"keel/v1"}`
	manifest := member{name: Manifest, data: empty}
	x := member{name: "x", data: "x"}
	good := raw(t, manifest)
	badSum := bytes.Clone(good)
	badSum[0] ^= 1
	long := strings.Repeat("d/", 100)
	tests := []struct {
		name    string
		archive []byte
		want    string
	}{
		{"nothing", nil, "seed: the archive is empty"},
		{"not a tar", bytes.Repeat([]byte("text"), 1000), "seed: the archive is damaged or no tar archive: wrong checksum in the header at byte 0"},
		{"bad checksum", badSum, "wrong checksum in the header at byte 0"},
		{"only the end", make([]byte, 1024), "seed: the archive has no keel.json"},
		{"no manifest", raw(t, x), "seed: the archive has no keel.json"},
		{"traversal", raw(t, manifest, member{name: "a/../../x"}), `seed: entry 2 ("a/../../x"): the name leads out of the archive (..)`},
		{"absolute", raw(t, manifest, member{name: "/x"}), `seed: entry 2 ("/x"): the name is absolute`},
		{"dot", raw(t, member{name: "./keel.json", data: empty}), `seed: entry 1 ("./keel.json"): the name has an empty part`},
		{"backslash", raw(t, manifest, member{name: `..\x`}), `seed: entry 2 ("..\\x"): the name has the character '\\'`},
		{"drive", raw(t, manifest, member{name: `C:x`}), `the name has the character ':'`},
		{"symlink", raw(t, manifest, member{name: "x", flag: tar.TypeSymlink}), `seed: entry 2 ("x") is a symbolic link`},
		{"hard link", raw(t, manifest, member{name: "x", flag: tar.TypeLink}), `seed: entry 2 ("x") is a hard link`},
		{"device", raw(t, manifest, member{name: "x", flag: tar.TypeChar}), `seed: entry 2 ("x") is a device`},
		{"block device", raw(t, manifest, member{name: "x", flag: tar.TypeBlock}), `is a device`},
		{"fifo", raw(t, manifest, member{name: "x", flag: tar.TypeFifo}), `is a FIFO`},
		{"directory", raw(t, manifest, member{name: "x/", flag: tar.TypeDir}), `is a directory`},
		{"long name", raw(t, manifest, member{name: long + long + "x"}), `is a header extension`},
		{"twice", raw(t, manifest, manifest), `seed: entry 2 ("keel.json") is there twice`},
		{"file not named", raw(t, manifest, x), `seed: the archive has a file that keel.json does not name: "x"`},
		{"file missing", raw(t, member{name: Manifest, data: `{"apiVersion":"keel/v1",` + table(x) + `}`}), `seed: the archive lacks a file that keel.json names: "x"`},
		{"file of another size", raw(t, member{name: Manifest, data: `{"apiVersion":"keel/v1",` + table(member{name: "x", data: "xy"}) + `}`}, x),
			`seed: file "x" has 1 bytes, keel.json says 2`},
		{"oversized manifest", raw(t, member{name: Manifest, data: empty + strings.Repeat(" ", MaxManifest)}), "seed: keel.json has 1048600 bytes; at most 1048576 are possible"},
		{"two archives", append(bytes.Clone(good), good...), "seed: the archive goes on after its end at byte 1024"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s, err := Parse(test.archive)
			if s != nil || err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("seed %v, error %v\nwant %s", s, err, test.want)
			}
		})
	}
	if _, err := Parse(append(bytes.Clone(good), make([]byte, 8192)...)); err != nil {
		t.Errorf("zeros after the end: %v", err)
	}
}

func TestBrokenManifestIsOneClearError(t *testing.T) {
	tests := []struct{ text, want string }{
		{``, "seed: keel.json: line 1: unexpected end of JSON input"},
		{"{\n\"apiVersion\":\n}", "seed: keel.json: line 3: invalid character '}'"},
		{`{"apiVersion":"keel/v1"} {}`, "seed: keel.json: line 1: invalid character '{' after top-level value"},
		{`[]`, "seed: keel.json: is a list, not a group of keys"},
		{`{}`, "seed: keel.json: apiVersion: is missing: give keel/v1"},
		{`{"apiVersion":"keel/v2"}`, `seed: keel.json: apiVersion: "keel/v2" is not possible; give keel/v1`},
		{`{"apiVersion":"keel/v1","apiVersion":"keel/v1"}`, `seed: keel.json: apiVersion: is there twice`},
		{`{"apiVersion":"keel/v1","apiversion":"keel/v1"}`, `seed: keel.json: apiversion: unknown key; the keys here are apiVersion, host, vms, files`},
		{`{"apiVersion":"keel/v1","a\u0000\n":1}`, `seed: keel.json: "a\x00\n": unknown key`},
		{`{"apiVersion":"keel/v1","vms":null}`, `seed: keel.json: vms: is null: give a value or leave the key out`},
		{`{"apiVersion":"keel/v1","vms":{}}`, `seed: keel.json: vms: is a group of keys, not a list`},
		{`{"apiVersion":"keel/v1","vms":[` + strings.Repeat(`{},`, 256) + `{}]}`, `seed: keel.json: vms: has 257 entries; at most 256 are possible`},
		{"{\"apiVersion\":\"keel/v1\xff\"}", `seed: keel.json: is not UTF-8 text`},
		{`{"a":` + strings.Repeat(`[`, 20) + strings.Repeat(`]`, 20) + `}`, `is nested more than 16 deep`},
		{`{"a":[` + strings.Repeat(`0,`, 70000) + `0]}`, `the document has more than 65536 values`},
		{`{"apiVersion":"keel/v1","files":{"../k":{"size":1,"sha256":""}}}`, `seed: keel.json: files."../k": the name leads out of the archive (..)`},
		{`{"apiVersion":"keel/v1","files":{"k":{"size":-1}}}`, `seed: keel.json: files.k.size: -1 is below the minimum of 0; seed: keel.json: files.k.sha256: is missing`},
		{`{"apiVersion":"keel/v1","files":{"k":{"size":1e3,"sha256":"00"}}}`, `files.k.size: 1e3 is not a whole number; seed: keel.json: files.k.sha256: "00" is not a SHA-256`},
		{`{"apiVersion":"keel/v1","files":{"keel.json":{"size":1,"sha256":"` + strings.Repeat("0", 64) + `"}}}`, `files."keel.json": keel.json does not list itself`},
		{`{"apiVersion":"keel/v1","host":{"networks":[]},FILES}`, `seed: keel.json: host.networks: "networks" is not in this version of Keel: leave it out`},
		{`{"apiVersion":"keel/v1","host":{"datastores":[]},FILES}`, `host.datastores: "datastores" is not in this version`},
		{`{"apiVersion":"keel/v1","host":{"management":{"vlan":4095}},FILES}`, `host.management.vlan: 4095`},
		{`{"apiVersion":"keel/v1","host":{"management":{"allowFrom":["192.0.2.0"]}},FILES}`, `host.management.allowFrom[0]: "192.0.2.0" is no network`},
		{`{"apiVersion":"keel/v1","host":{"management":{"allowFrom":["192.0.2.5/24"]}},FILES}`, `host.management.allowFrom[0]: "192.0.2.5/24" has bits of a host: the network is 192.0.2.0/24, one host 192.0.2.5/32`},
		{`{"apiVersion":"keel/v1","host":{"management":{"addresses":["192.0.2.5/24","192.0.2.5/16"]}},FILES}`, `host.management.addresses[1]: "192.0.2.5/16" is there twice`},
		{`{"apiVersion":"keel/v1","host":{"management":{"nic":"eth0"}},FILES}`, `host.management.nic: "eth0" is no network card: give auto, or its MAC address`},
		{`{"apiVersion":"keel/v1","host":{"management":{"nic":"53:54:00:12:34:56"}},FILES}`, `host.management.nic: "53:54:00:12:34:56" is no network card`},
		{`{"apiVersion":"keel/v1","host":{"management":{"addresses":["192.0.2.5"]}},FILES}`, `host.management.addresses[0]: "192.0.2.5" is no address: give a host's with its network's length`},
		{`{"apiVersion":"keel/v1","host":{"management":{"addresses":["192.0.2.5/24"],"routers":["198.51.100.1"]}},FILES}`, `host.management.routers[0]: "198.51.100.1" is in no network of management.addresses`},
		{`{"apiVersion":"keel/v1","host":{"management":{"dns":["127.0.0.1"]}},FILES}`, `host.management.dns[0]: "127.0.0.1" is no host's address`},
		{`{"apiVersion":"keel/v1","host":{"name":"A"},FILES}`, `host.name: "A" is not a name; it has 1 to 63 of a-z, 0-9 and -`},
		{`{"apiVersion":"keel/v1","host":{"whenIdle":"sleep"},FILES}`, `host.whenIdle: "sleep" is not possible; give stay or poweroff`},
		{`{"apiVersion":"keel/v1","host":{"onPanic":1},FILES}`, `host.onPanic: 1 is not text: put it in quotes`},
		{`{"apiVersion":"keel/v1","host":{"log":{"level":"loud"}},FILES}`, `host.log.level: "loud" is not possible; give debug or info or warn or error`},
	}
	for _, test := range tests {
		s, err := Parse(ofJSON(t, test.text))
		if s != nil || err == nil || !strings.Contains(err.Error(), test.want) || strings.ContainsAny(err.Error(), "\n\x00") {
			t.Errorf("%.80s: seed %v, error %v\nwant %s", test.text, s, err, test.want)
		}
	}
}

func TestErrorOfAHostileDocumentIsShort(t *testing.T) {
	var text strings.Builder
	text.WriteString(`{"apiVersion":"keel/v1"`)
	for i := range 30000 {
		fmt.Fprintf(&text, `,"k%d":0`, i)
	}
	text.WriteString("}")
	_, err := Parse(ofJSON(t, text.String()))
	if err == nil || len(err.Error()) > 1000 || !strings.HasSuffix(err.Error(), "and 97 more") {
		t.Errorf("error has %d bytes: %.1000v", len(err.Error()), err)
	}
}

func TestGNUTarFormatIsRead(t *testing.T) {
	archive := raw(t, member{name: Manifest, data: `{"apiVersion":"keel/v1"}`})
	copy(archive[257:265], "ustar  \x00")
	sum := 0
	copy(archive[148:156], "        ")
	for _, c := range archive[:512] {
		sum += int(c)
	}
	copy(archive[148:156], fmt.Sprintf("%06o\x00 ", sum))
	if _, err := Parse(archive); err != nil {
		t.Error(err)
	}
}

func TestSelect(t *testing.T) {
	a, b := Candidate{"boot module 1", []byte("a")}, Candidate{"/keel/seed.tar on the boot medium", []byte("b")}
	if _, err := Select(nil); !errors.Is(err, ErrNone) {
		t.Errorf("none: %v", err)
	}
	if c, err := Select([]Candidate{a}); err != nil || c.Source != a.Source {
		t.Errorf("one: %v, %v", c, err)
	}
	_, err := Select([]Candidate{a, b})
	const want = "seed: 2 were given (boot module 1, /keel/seed.tar on the boot medium): the host takes none of them; give one"
	if err == nil || err.Error() != want {
		t.Errorf("two: %v", err)
	}
}

func TestFormatSize(t *testing.T) {
	for n, want := range map[uint64]string{0: "0 bytes", 1: "1 byte", 3072: "3KiB", 4 << 20: "4MiB", 4 << 30: "4GiB", 4<<30 + 1024: "4194305KiB", 1025: "1025 bytes"} {
		if got := FormatSize(n); got != want {
			t.Errorf("FormatSize(%d) = %s, want %s", n, got, want)
		}
	}
}

func TestWriteRefusesContentsThatChanged(t *testing.T) {
	for _, now := range []string{"kernel!", "kerne", "Kernel"} {
		info, _ := Describe(strings.NewReader("kernel"))
		err := Write(new(bytes.Buffer), &Document{Files: map[string]FileInfo{"k": info}}, opener(now))
		if err == nil || err.Error() != "seed: k changed while it was read: try again" {
			t.Errorf("%q: %v", now, err)
		}
	}
}
