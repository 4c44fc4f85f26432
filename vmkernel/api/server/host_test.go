package server

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"keel/vmkernel/api"
	"keel/vmkernel/api/backend"
	"keel/vmkernel/audit"
	"keel/vmkernel/auth"
)

func TestTheHostIsDescribed(t *testing.T) {
	r := newRig(t)
	r.demo()
	c := r.as(auth.Viewer)
	var h api.Host
	c.call("GET", "/v1/host", nil).want(200).into(&h)
	if h.Name != "keel-1" || h.Boot != "b0075" || h.Version != "0.2.0" || h.Resources.VMs != 1 || h.Resources.VMsRunning != 1 || h.Health.State != "ok" || h.Resources.ImagesFree != 64<<20 {
		t.Errorf("%+v", h)
	}
	var v api.Version
	c.call("GET", "/v1/version", nil).want(200).into(&v)
	if v.You.Name != "viewer-1" || v.You.Role != "viewer" || time.Until(v.You.NotAfter) < 300*24*time.Hour {
		t.Errorf("%+v", v)
	}
	var w api.Worlds
	if c.call("GET", "/v1/worlds", nil).want(200).into(&w); len(w.Worlds) != 2 {
		t.Errorf("%+v", w)
	}
}

// TestWhoHasAProcessorForItselfIsSaid, to those who may know of the VM.
func TestWhoHasAProcessorForItselfIsSaid(t *testing.T) {
	r := newRig(t)
	v := r.demo()
	spec, _ := v.Spec()
	spec.CPU.Affinity, spec.CPU.Exclusive = []int{3, 1}, true
	if err := v.Update(*spec, 0); err != nil {
		t.Fatal(err)
	}
	want := []api.ExclusiveCPU{{CPU: 1, VM: "demo"}, {CPU: 3, VM: "demo"}}
	for _, c := range []struct {
		as   *caller
		want []api.ExclusiveCPU
	}{{r.as(auth.Viewer), want}, {r.scoped(auth.Viewer, map[string]string{"tier": "test"}), want}, {r.scoped(auth.Viewer, map[string]string{"tier": "live"}), nil}} {
		var h api.Host
		if c.as.call("GET", "/v1/host", nil).want(200).into(&h); !slices.Equal(h.Resources.Exclusive, c.want) {
			t.Errorf("%+v, want %+v", h.Resources, c.want)
		}
	}
	v.To(api.Stopped, api.Running)
	var h api.Host
	if r.as(auth.Viewer).call("GET", "/v1/host", nil).want(200).into(&h); h.Resources.Exclusive != nil {
		t.Errorf("of a stopped one: %+v", h.Resources)
	}
}

// TestWhoIsLimitedToSomeVMsReadsNothingOfOthers has the host's problems name a VM of somebody else's.
func TestWhoIsLimitedToSomeVMsReadsNothingOfOthers(t *testing.T) {
	r := newRig(t)
	r.Host.HasProblem(backend.LastError + "VM payroll has crashed")
	r.Host.HasSeedNotUsed("seed: keel.json: vms[0]: payroll is there twice")
	read := func(c *caller) (h api.Host) {
		c.call("GET", "/v1/host", nil).want(200).into(&h)
		return h
	}
	scoped := r.scoped(auth.Viewer, map[string]string{"tier": "test"})
	if h := read(scoped); h.Health.State != "ok" || len(h.Health.Problems) != 0 || len(h.Seed.Others) != 0 {
		t.Errorf("limited to some: %+v, %+v", h.Health, h.Seed)
	}
	r.Host.HasProblem("network: its card is down")
	if h := read(scoped); h.Health.State != "warning" || len(h.Health.Problems) != 1 {
		t.Errorf("what concerns him too: %+v", h.Health)
	}
	if h := read(r.as(auth.Viewer)); len(h.Health.Problems) != 3 || len(h.Seed.Others) != 1 {
		t.Errorf("not limited: %+v, %+v", h.Health, h.Seed)
	}
}

func TestTheNetworkIsChangedByWhoHasReadIt(t *testing.T) {
	r := newRig(t)
	c := r.as(auth.Admin)
	tag := c.call("GET", "/v1/host/network", nil).want(200).header.Get("ETag")
	body := `{"nic":"auto","addresses":["192.0.2.5/24"],"routers":["192.0.2.1"],"vlan":7}`
	c.call("PUT", "/v1/host/network", body).want(428)
	c.call("POST", "/v1/host/network/confirm", nil).want(409)
	var n api.Network
	c.call("PUT", "/v1/host/network", body, "If-Match", tag).want(202).into(&n)
	if n.Pending == nil || n.Config.VLAN != 7 {
		t.Errorf("%+v", n)
	}
	c.call("PUT", "/v1/host/network", body, "If-Match", tag).want(412)
	n = api.Network{}
	if c.call("POST", "/v1/host/network/confirm", nil).want(200).into(&n); n.Pending != nil {
		t.Errorf("%+v", n)
	}
	tag = c.call("GET", "/v1/host/network", nil).want(200).header.Get("ETag")
	for bad, field := range map[string]string{
		`{"addresses":["192.0.2.5"]}`: "addresses[0]", `{"vlan":"7"}`: "vlan", `{"vlan":7.5}`: "vlan", `{"vlan":99999999999999999999}`: "vlan",
		`{"dns":"1.1.1.1"}`: "dns", `{"Vlan":7}`: "Vlan", `{"vlan":7,"vlan":8}`: "vlan",
	} {
		if e := c.call("PUT", "/v1/host/network", bad, "If-Match", tag).want(400).error(); e.Details["field"] != field {
			t.Errorf("%s: %+v", bad, e)
		}
	}
	tag = c.call("GET", "/v1/host/time", nil).want(200).header.Get("ETag")
	c.call("PUT", "/v1/host/time", `{}`, "If-Match", tag).want(400)
	c.call("PUT", "/v1/host/time", `{"servers":["192.0.2.9"],"now":"2026-11-28T19:00:00Z"}`, "If-Match", tag).want(200)
	c.call("PUT", "/v1/host/time", `{"servers":[]}`, "If-Match", tag).want(412)
}

// TestNobodySetsTheClockBeyondHisOwnCertificate would lock everybody out: only a restart would let them in again.
func TestNobodySetsTheClockBeyondHisOwnCertificate(t *testing.T) {
	r := newRig(t)
	cert := r.user("admin-1", auth.Admin, nil)
	c := &caller{rig: r, client: r.clientOf(cert)}
	tag := c.call("GET", "/v1/host/time", nil).want(200).header.Get("ETag")
	set := func(at time.Time) answer {
		return c.call("PUT", "/v1/host/time", api.HostTimeSet{Now: &at}, "If-Match", tag)
	}
	end := cert.Leaf.NotAfter
	if e := set(end.Add(time.Second)).want(400, api.CodeInvalid).error(); !strings.Contains(e.Message, stamp(end)) {
		t.Errorf("%s", e.Message)
	}
	set(end).want(200)
}

func TestTheHostIsStoppedByAnOperation(t *testing.T) {
	r := newRig(t)
	c := r.as(auth.Admin)
	var o api.Operation
	c.call("POST", "/v1/host/restart?wait=0s", `{"force":true}`).want(202).into(&o)
	if e := c.call("POST", "/v1/host/shutdown?wait=0s", `{}`).want(409, api.CodeConflict).error(); !strings.Contains(e.Message, o.ID) {
		t.Errorf("%+v", e)
	}
	eventually(t, "it is under way", func() bool {
		c.call("GET", "/v1/operations/"+o.ID, nil).want(200).into(&o)
		return o.Progress.Total == 2
	})
	r.as(auth.Operator).call("POST", "/v1/operations/"+o.ID+"/cancel", nil).want(403, api.CodeDenied)
	c.call("POST", "/v1/operations/"+o.ID+"/cancel", nil).want(200).into(&o)
	if o.State != api.OpCancelled || fmt.Sprint(r.Host.Stops()) != "[{true true}]" {
		t.Errorf("%+v %v", o, r.Host.Stops())
	}
}

func TestStreamsGoOnWhereTheyWereLeft(t *testing.T) {
	r := newRig(t)
	for i := range 5 {
		fmt.Fprintf(r.server.Lines, "level=INFO msg=%d\n", i+1)
	}
	c := r.as(auth.Operator)
	c.client.Timeout = 0
	request, _ := http.NewRequestWithContext(within(t, longest), "GET", "https://"+r.address+"/v1/host/log?from=4", nil)
	response, err := c.client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	lines := bufio.NewScanner(response.Body)
	next := func() (l api.LogLine) {
		t.Helper()
		for lines.Scan() {
			if len(lines.Bytes()) > 0 {
				if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
					t.Fatal(err)
				}
				return l
			}
		}
		t.Fatal(lines.Err())
		return l
	}
	for i := uint64(4); i <= 5; i++ {
		if l := next(); l.Sequence != i || l.Text != fmt.Sprintf("level=INFO msg=%d", i) {
			t.Errorf("%+v", l)
		}
	}
	io.WriteString(r.server.Lines, "level=WARN ")
	io.WriteString(r.server.Lines, "msg=\"in pieces\"\r\nlevel=INFO msg=\xff\n")
	if l := next(); l.Sequence != 6 || l.Text != `level=WARN msg="in pieces"` {
		t.Errorf("%+v", l)
	}
	if l := next(); l.Text != "level=INFO msg=?" {
		t.Errorf("%+v", l)
	}
	a := c.call("GET", "/v1/host/log?follow=false", nil).want(200)
	if n := bytes.Count(a.body, []byte("\n")); n != 7 {
		t.Errorf("%d lines", n)
	}
	for range maxLines + 3 {
		io.WriteString(r.server.Lines, "x\n")
	}
	a = c.call("GET", "/v1/host/log?follow=false&from=1", nil).want(200)
	if !strings.HasPrefix(string(a.body), `{"sequence":10,`) || !strings.Contains(string(a.body), "no longer kept") || bytes.Count(a.body, []byte("\n")) != maxLines+1 {
		t.Errorf("%.200s", a.body)
	}
}

func TestEventsTellWhatHappens(t *testing.T) {
	r := newRig(t)
	c := r.as(auth.Operator)
	c.call("POST", "/v1/vms", vmJSON("demo", 1, "")).want(201)
	c.call("POST", "/v1/vms/demo/start", nil).want(200)
	var kinds []string
	eventually(t, "all has been told", func() bool {
		a := c.call("GET", "/v1/events?from=1&follow=false", nil).want(200)
		kinds = nil
		for line := range bytes.Lines(a.body) {
			var e api.Event
			if json.Unmarshal(line, &e) == nil {
				kinds = append(kinds, e.Kind)
			}
		}
		slices.Sort(kinds)
		return fmt.Sprint(kinds) == "[operation.succeeded vm.created vm.running vm.starting]"
	})
}

func TestImagesAreUploadedInPieces(t *testing.T) {
	r := newRig(t)
	c := r.as(auth.Operator)
	data := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	sum := sha256.Sum256(data)
	create := fmt.Sprintf(`{"name":"boot/initrd","size":%d,"sha256":"%x"}`, len(data), sum)
	c.call("POST", "/v1/images", create).want(201)
	c.call("POST", "/v1/images", create).want(200)
	c.call("POST", "/v1/images", strings.Replace(create, "boot/initrd", "../x", 1)).want(400)
	c.call("POST", "/v1/images", fmt.Sprintf(`{"name":"big","size":%d,"sha256":"%x"}`, 1<<30, sum)).want(507, api.CodeFull)
	const path = "/v1/images/boot%2Finitrd"
	var i api.Image
	c.call("PATCH", path, data[:1000], api.UploadOffset, "0").want(200).into(&i)
	if i.Received != 1000 || i.State != api.ImageUploading {
		t.Errorf("%+v", i)
	}
	if e := c.call("PATCH", path, data[:1000], api.UploadOffset, "0").want(409, api.CodeOffset).error(); e.Details["offset"] != "1000" {
		t.Errorf("%+v", e)
	}
	c.call("PATCH", path, data[1000:]).want(400)
	c.call("PATCH", path, `{}`, api.UploadOffset, "1000").want(415)
	if h := c.call("HEAD", path, nil).want(200).header; h.Get(api.UploadOffset) != "1000" || h.Get(api.UploadLength) != fmt.Sprint(len(data)) {
		t.Errorf("%v", h)
	}
	c.call("POST", "/v1/vms", strings.Replace(vmJSON("demo", 1, ""), `"vmlinuz"`, `"vmlinuz","initrd":"boot/initrd"`, 1))
	c.call("PATCH", path, data[1000:], api.UploadOffset, "1000").want(200).into(&i)
	if i.State != api.ImageReady || i.SHA256 != hex.EncodeToString(sum[:]) {
		t.Errorf("%+v", i)
	}
	c.call("GET", "/v1/images/sha256:"+i.SHA256, nil).want(200)
	c.call("PATCH", path, data[:1], api.UploadOffset, fmt.Sprint(len(data))).want(409)
	var list api.Images
	c.call("GET", "/v1/images", nil).want(200).into(&list)
	if len(list.Images) != 2 || list.Used != int64(len(data)) {
		t.Errorf("%+v", list)
	}
	c.call("DELETE", path, nil).want(403, api.CodeDenied)
	admin := r.as(auth.Admin)
	admin.call("DELETE", path, nil).want(204)
	admin.call("DELETE", path, nil).want(404)
	admin.call("DELETE", "/v1/images/vmlinuz", nil).want(409)

	// What isn't what was declared is refused, and may come again.
	c.call("POST", "/v1/images", fmt.Sprintf(`{"name":"bad","size":3,"sha256":"%x"}`, sum)).want(201)
	c.call("PATCH", "/v1/images/bad", []byte("abc"), api.UploadOffset, "0").want(400, api.CodeInvalid)
	if c.call("GET", "/v1/images/bad", nil).want(200).into(&i); i.Received != 0 {
		t.Errorf("%+v", i)
	}
	c.call("PATCH", "/v1/images/bad", make([]byte, api.MaxChunk+1), api.UploadOffset, "0").want(413, api.CodeTooLarge)
}

func TestTrustIsChanged(t *testing.T) {
	r := newRig(t)
	c := r.as(auth.Admin)
	var trust api.Trust
	c.call("GET", "/v1/trust", nil).want(200).into(&trust)
	if len(trust.CAs) != 1 || trust.CAs[0].Fingerprint != string(r.ca.Fingerprint()) || trust.Host.Fingerprint != string(r.server.Key.Fingerprint()) || trust.Lockdown.Locked {
		t.Errorf("%+v", trust)
	}
	request, err := auth.ParseRequest([]byte(trust.Host.Request))
	if err != nil {
		t.Fatal(err)
	}
	signed, err := r.ca.SignHost(request, request.Names, request.Addresses, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	c.call("POST", "/v1/trust/host-certificate", api.HostCertificate{Certificate: "nonsense"}).want(400)
	c.call("POST", "/v1/trust/host-certificate", api.HostCertificate{Certificate: string(auth.CertificatePEM(signed))}).want(200).into(&trust)
	if trust.Host.SignedBy != "operators" {
		t.Errorf("%+v", trust.Host)
	}
	c.call("POST", "/v1/trust/revocations", `{"issuer":"x","serial":"1"}`).want(400)
	c.call("DELETE", "/v1/trust/cas/"+string(r.ca.Fingerprint()), nil).want(409)
	other, _ := auth.NewCA("others", time.Now())
	c.call("DELETE", "/v1/trust/cas/"+string(other.Fingerprint()), nil).want(404)
	if c.call("POST", "/v1/trust/lockdown", nil).want(200).into(&trust); !trust.Lockdown.Locked {
		t.Errorf("%+v", trust.Lockdown)
	}
	late := &caller{rig: r, client: r.clientOf(r.user("late", auth.Admin, nil))}
	if a, err := late.do("GET", "/v1/version", nil); err == nil {
		t.Errorf("a new administrator comes in after lockdown: %s", a.body)
	}
	nonce := auth.NewNonce()
	var proof api.Proof
	r.as(auth.Auditor).call("POST", "/v1/trust/proof", api.Nonce{Nonce: nonce}).want(200).into(&proof)
	if err := auth.CheckProof(strings.Repeat("t", 43), r.server.Key.Fingerprint(), nonce, proof.Proof); err != nil {
		t.Error(err)
	}
}

func TestEachCallIsRecordedBeforeAndAfter(t *testing.T) {
	r := newRig(t)
	c := r.as(auth.Operator)
	c.call("POST", "/v1/vms", vmJSON("demo", 1, "")).want(201)
	c.call("POST", "/v1/vms/demo/start", nil).want(200)
	c.call("POST", "/v1/vms/demo/start", nil).want(409)
	c.call("GET", "/v1/trust", nil).want(403)
	c.call("GET", "/v1/nothing", nil).want(404)
	c.call("POST", "/v1/vms", "{").want(400)
	eventually(t, "the operations' ends are recorded", func() bool {
		n := 0
		for _, m := range r.records() {
			if m["action"] == "operation.ended" {
				n++
			}
		}
		return n == 2
	})
	intents, outcomes := map[float64]map[string]any{}, map[float64]map[string]any{}
	var order []float64
	for _, m := range r.records() {
		id, _ := m["id"].(float64)
		switch m["kind"] {
		case "intent":
			intents[id] = m
			order = append(order, id)
		case "outcome":
			if intents[id] == nil {
				t.Errorf("an outcome before its intent: %v", m)
			}
			outcomes[id] = m
		}
	}
	want := []string{"/v1/vms demo ok", "/v1/vms/{vm}/start demo ok", "/v1/vms/{vm}/start demo failed", "/v1/trust <nil> denied", "unknown /v1/nothing failed", "/v1/vms <nil> failed"}
	for i, id := range order {
		in, out := intents[id], outcomes[id]
		if got := fmt.Sprint(in["action"], " ", in["on"], " ", out["result"]); i >= len(want) || got != want[i] {
			t.Errorf("call %d: %s (%v, %v)", i, got, in, out)
		}
	}
	if len(order) != len(want) {
		t.Errorf("%d calls are recorded", len(order))
	}

	// And an auditor reads and proves it.
	a := r.as(auth.Auditor)
	var head api.AuditCheckpoint
	a.call("GET", "/v1/audit/checkpoint", nil).want(200).into(&head)
	var page api.AuditRecords
	a.call("GET", "/v1/audit/records?from=0&count=1000", nil).want(200).into(&page)
	if page.Boot != "b0075" || int64(len(page.Records)) < head.Size {
		t.Errorf("%d of %d", len(page.Records), head.Size)
	}
	var proof api.AuditProof
	a.call("GET", fmt.Sprintf("/v1/audit/proof?size=%d&record=3", head.Size), nil).want(200).into(&proof)
	var hashes tlog.RecordProof
	for _, h := range proof.Hashes {
		raw, err := base64.StdEncoding.DecodeString(h)
		if err != nil {
			t.Fatal(err)
		}
		hashes = append(hashes, tlog.Hash(raw))
	}
	root, err := tlog.ParseHash(strings.Split(head.Note, "\n")[2])
	if err != nil {
		t.Fatal(err)
	}
	if err := tlog.CheckRecord(hashes, head.Size, root, 3, tlog.RecordHash([]byte(page.Records[3]))); err != nil {
		t.Error(err)
	}
	a.call("GET", "/v1/audit/proof?size=3&old=1", nil).want(200)
	a.call("GET", "/v1/audit/proof?size=3", nil).want(400)
	a.call("GET", "/v1/audit/proof?size=99999&old=1", nil).want(400)
	a.call("GET", "/v1/audit/records?count=0", nil).want(400)
}

func TestWhoFollowsTheAuditLogIsInItOnce(t *testing.T) {
	r := newRig(t)
	a := r.as(auth.Auditor)
	a.client.Timeout = 0
	request, _ := http.NewRequestWithContext(within(t, longest), "GET", "https://"+r.address+"/v1/audit/follow?from=0", nil)
	response, err := a.client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	lines := bufio.NewScanner(response.Body)
	next, calls := int64(0), 0
	until := func(what string) {
		t.Helper()
		for lines.Scan() {
			var page api.AuditRecords
			if len(lines.Bytes()) == 0 {
				continue
			}
			if err := json.Unmarshal(lines.Bytes(), &page); err != nil {
				t.Fatal(err)
			}
			if page.From != next {
				t.Fatalf("records from %d on come after those to %d", page.From, next-1)
			}
			next += int64(len(page.Records))
			text := strings.Join(page.Records, "\n")
			calls += strings.Count(text, "/v1/audit/follow")
			if strings.Contains(text, what) {
				return
			}
		}
		t.Fatalf("%s doesn't come: %v", what, lines.Err())
	}
	until("/v1/audit/follow")
	for range 3 {
		r.Log.Event(audit.Entry{Action: "vm.started", On: "demo"})
		until("vm.started")
	}
	if calls != 1 {
		t.Errorf("the call is in the log %d times", calls)
	}
}

// fullLog is a log whose collector is down and whose room for changes is used up.
type fullLog struct{ Audit }

func (f fullLog) Begin(e audit.Entry) (audit.ID, error) {
	if e.Class == audit.ClassChange {
		return 0, fmt.Errorf("the collector 192.0.2.1:6514: %w", audit.ErrCollector)
	}
	return f.Audit.Begin(e)
}

func (f fullLog) Forwarding() audit.Forwarding {
	return audit.Forwarding{Collector: &audit.Collector{Address: "192.0.2.1:6514"}}
}

func TestWithoutACollectorOneCanStillReadStopAndRepair(t *testing.T) {
	r := newRig(t)
	r.demo()
	r.server.Audit = fullLog{r.Log}
	c := r.as(auth.Admin)
	if e := c.call("POST", "/v1/vms", vmJSON("more", 2, "")).want(503, api.CodeCollector).error(); e.Details["collector"] != "192.0.2.1:6514" || !strings.Contains(e.Message, "192.0.2.1") {
		t.Errorf("%+v", e)
	}
	if r.VMs.Creates() != 1 {
		t.Error("it was made all the same")
	}
	r.as(auth.Viewer).call("POST", "/v1/vms", "{}").want(403, api.CodeDenied)
	c.call("GET", "/v1/vms", nil).want(200)
	c.call("POST", "/v1/vms/demo/kill", nil).want(200)
	tag := c.call("GET", "/v1/audit/forwarding", nil).want(200).header.Get("ETag")
	c.call("PUT", "/v1/audit/forwarding", `{}`, "If-Match", tag).want(200)
}

func TestForwardingIsSet(t *testing.T) {
	r := newRig(t)
	c := r.as(auth.Admin)
	tag := c.call("GET", "/v1/audit/forwarding", nil).want(200).header.Get("ETag")
	c.call("PUT", "/v1/audit/forwarding", `{"address":"192.0.2.1"}`, "If-Match", tag).want(400)
	c.call("PUT", "/v1/audit/forwarding", `{"address":"192.0.2.1","pin":"`+string(r.ca.Fingerprint())+`"}`, "If-Match", `"old"`).want(412)
}

var sample1 = regexp.MustCompile(`^[a-z_]+(\{([a-z]+="([^"\\\n]|\\.)*",?)+\})? -?[0-9.e+-]+$`)

func TestMetricsArePrometheus(t *testing.T) {
	r := newRig(t)
	r.Host.Figures = []backend.Metric{family("keel_network_bytes_total", "Bytes of the host's network.", "counter", valued(12, "direction", "in"))}
	r.demo()
	a := r.as(auth.Viewer).call("GET", "/v1/host/metrics", nil).want(200)
	seen := map[string]bool{}
	for line := range strings.Lines(strings.TrimSuffix(string(a.body), "\n")) {
		line = strings.TrimSuffix(line, "\n")
		if name, ok := strings.CutPrefix(line, "# TYPE "); ok {
			name, _, _ = strings.Cut(name, " ")
			if seen[name] {
				t.Errorf("%s is there twice", name)
			}
			seen[name] = true
		}
		if !strings.HasPrefix(line, "# ") && !sample1.MatchString(line) {
			t.Errorf("%q", line)
		}
	}
	for _, want := range []string{`keel_vm_exits_total{vm="demo",reason="cpuid"} 7`, `keel_vm_granted_bytes{vm="demo"} 1.2582912e+07`,
		`keel_vm_active_bytes{vm="demo"} 5.24288e+06`, `keel_vm_stolen_seconds_total{vm="demo"} 0`, `keel_worlds{kind="vcpu",state="limited"} 1`, `keel_worlds_limited_seconds_total{kind="vcpu"} 2`, `keel_worlds_paused_seconds_total{kind="vcpu"} 4`,
		`keel_worlds_blocked_seconds_total{kind="vcpu"} 3`, `keel_vm_limited_seconds_total{vm="demo"} 0`, `keel_vm_paused_seconds_total{vm="demo"} 0`, `keel_network_bytes_total{direction="in"} 12`,
		`keel_vms{state="running"} 1`, "keel_memory_free_bytes 9.437184e+08", "keel_door_open 2", "keel_calls_total{outcome=\"ok\"}"} {
		if !strings.Contains(string(a.body), want) {
			t.Errorf("no %s in\n%s", want, a.body)
		}
	}
	if got := string(writeMetrics([]backend.Metric{family("m", "a\nb", "gauge", valued(1, "l", "\"\\\n"))})); got != "# HELP m a\\nb\n# TYPE m gauge\nm{l=\"\\\"\\\\\\n\"} 1\n" {
		t.Errorf("%q", got)
	}
}

func TestSupportBundleHasNoSecrets(t *testing.T) {
	r := newRig(t)
	secret := "swordfish"
	r.as(auth.Operator).call("POST", "/v1/vms", strings.Replace(vmJSON("demo", 1, ""), `"vmlinuz"`, `"vmlinuz","cmdline":"password=`+secret+`"`, 1)).want(201)
	io.WriteString(r.server.Lines, "level=INFO msg=ready\ndemo| login: "+secret+"\n")
	a := r.as(auth.Admin).call("GET", "/v1/host/support", nil).want(200)
	zip, err := gzip.NewReader(bytes.NewReader(a.body))
	if err != nil {
		t.Fatal(err)
	}
	parts := map[string]string{}
	for archive := tar.NewReader(zip); ; {
		h, err := archive.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(archive)
		parts[strings.TrimPrefix(h.Name, "keel-support/")] = string(text)
		for _, bad := range []string{secret, "PRIVATE KEY", strings.Repeat("t", 43)} {
			if strings.Contains(string(text), bad) {
				t.Errorf("%s has %s", h.Name, bad)
			}
		}
	}
	if !strings.Contains(parts["log.txt"], "msg=ready") || !strings.Contains(parts["vms.json"], "left out") || len(parts) != 13 {
		t.Errorf("%d parts: %v", len(parts), parts["log.txt"])
	}
}
