package main

import (
	"crypto/x509"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"keel/cmd/keelctl/exit"
	"keel/vmkernel/api"
	"keel/vmkernel/api/apitest"
	"keel/vmkernel/auth"
)

// remoteRun is a run of a command that asks a host: its arguments, what is typed, whether it goes on until it is ended.
type remoteRun struct {
	line  string
	stdin string
	until string // what it writes when it has got to where it goes on
	code  int    // with which it ends
}

// remoteRuns are runs of all commands that ask a host, in an order in which they are possible.
var remoteRuns = []remoteRun{
	{line: "version"}, {line: "query GET /v1/version"}, {line: "top --once"},
	{line: "host info"}, {line: "host hardware"}, {line: "host resources"}, {line: "host health"}, {line: "host log"}, {line: "host metrics"},
	{line: "host support -o support.tar.gz"}, {line: "host time show"}, {line: "host time set --server 192.0.2.123"}, {line: "host network show"},
	{line: "host network set --dns 192.0.2.53"}, {line: "host network confirm", code: exit.Conflict},
	{line: "image upload vmlinuz --name other"}, {line: "image list"}, {line: "image delete other"},
	{line: "vm create -f vm.yaml"}, {line: "vm list"}, {line: "vm get demo"}, {line: "vm get demo --manifest"}, {line: "vm update -f vm2.yaml"}, {line: "vm edit demo"}, {line: "vm start demo --wait"},
	{line: "vm stats demo"}, {line: "vm console demo --timeout 500ms", stdin: "hello\n"}, {line: "vm log demo"}, {line: "vm events demo"}, {line: "events"},
	{line: "vm pause demo"}, {line: "vm resume demo"}, {line: "vm nmi demo"}, {line: "vm reset demo"}, {line: "vm shutdown demo --wait"},
	{line: "vm start demo --wait"}, {line: "vm kill demo --wait"}, {line: "op list"}, {line: "op wait OPERATION"}, {line: "op cancel OPERATION", code: exit.Conflict}, {line: "vm delete demo"},
	{line: "pool list"}, {line: "pool show web"}, {line: "pool set web --cpu-shares 5"},
	{line: "audit tail"}, {line: "audit tail --follow", until: "/v1/audit/follow"}, {line: "audit verify"}, {line: "audit export -o audit.json"},
	{line: "audit forwarding show"}, {line: "audit forwarding set --off"}, {line: "trust show"}, {line: "trust ca add next-ca.pem"}, {line: "trust ca remove DISTRUSTED"},
	{line: "cert revoke 4a5b6c7d8e9f00112233445566778899"}, {line: "host restart old"},
	{line: "trust lockdown old"}, // it doesn't know her: she came by what stands before it
}

// TestKeelctlWorksWithHostsOfOlderVersions runs every command that asks a host against hosts that know no more than an
// older version's document. Each works, or says that the host's version doesn't know it.
func TestKeelctlWorksWithHostsOfOlderVersions(t *testing.T) {
	recorded, err := os.ReadFile("../../vmkernel/api/testdata/older/v0.0.0-20261128192734-b8099e6.json")
	if err != nil {
		t.Fatal(err)
	}
	poolRuns := slices.Clip([]string{"pool list", "pool show web", "pool set web --cpu-shares 5"}) // younger than what was recorded
	for _, c := range []struct {
		name     string
		document []byte
		unknown  []string // what the host doesn't know
	}{
		{"as recorded", recorded, append(poolRuns, "audit tail --follow", "trust ca add next-ca.pem")},
		{"older still", cut(t, recorded,
			"paths./v1/vms/{vm}/nmi", "components.schemas.VMCPUSpecRequest.properties.shares", "components.schemas.VMSpecRequest.properties.onCrash",
			"paths./v1/host/support", "components.schemas.HostTimeSetRequest.properties.servers",
			"components.schemas.Host.properties.health", "components.schemas.VMSummary.properties.labels", "components.schemas.VM.properties.reason"),
			append(poolRuns, "audit tail --follow", "trust ca add next-ca.pem", "vm nmi demo", "host support -o support.tar.gz", "host time set --server 192.0.2.123")},
	} {
		t.Run(c.name, func(t *testing.T) {
			inVMDir(t)
			write(t, "vm2.yaml", []byte(strings.Replace(vmYAML, "64MiB", "96MiB", 1)))
			s := newSession(t)
			s.env["EDITOR"] = "true"
			s.must(t, "init")
			ca, err := auth.LoadCA(contents(t, s.file("ca.pem")), contents(t, s.file("ca.key")))
			if err != nil {
				t.Fatal(err)
			}
			second, err := auth.NewCA("second", time.Now())
			if err != nil {
				t.Fatal(err)
			}
			write(t, "next-ca.pem", second.CertificatePEM())
			r := boot(t, rigOptions{cas: []*x509.Certificate{ca.Certificate, second.Certificate}})
			address := apitest.NewOlder(t, c.document, r.Parts, r.address, apitest.User(t, ca, "alice", auth.Grant{Role: auth.Admin}, 0, time.Now()))
			s.must(t, "host", "add", address, "--name", "old", "--fingerprint", r.fingerprint())
			for _, run := range remoteRuns {
				line := strings.Replace(run.line, "DISTRUSTED", string(second.Fingerprint()), 1)
				if verb, ok := strings.CutSuffix(line, " OPERATION"); ok {
					line = verb + " " + operation(t, s)
				}
				s.stdin = run.stdin
				got := s.ends(t, run, strings.Fields(line))
				switch {
				case slices.Contains(c.unknown, run.line):
					if got.code != exit.Unsupported || !strings.Contains(got.errout, "its version of Keel doesn't know") {
						t.Errorf("%s, which the host doesn't know: %+v", run.line, got)
					}
				case got.code != run.code:
					t.Errorf("%s: %+v", run.line, got)
				}
			}
		})
	}
}

// ends runs a command to its end, or until it has got to where it goes on.
func (s *session) ends(t *testing.T, run remoteRun, args []string) result {
	t.Helper()
	if run.until == "" {
		return s.run(args...)
	}
	b := s.background(nil, args...)
	for range 500 {
		select {
		case r := <-b.done:
			return r
		case <-time.After(10 * time.Millisecond):
		}
		if strings.Contains(b.out.String(), run.until) {
			break
		}
	}
	b.cancel()
	return b.end(t)
}

// operation is the id of one that the host remembers.
func operation(t *testing.T, s *session) string {
	t.Helper()
	var ops api.Operations
	if err := json.Unmarshal([]byte(s.must(t, "op", "list", "-o", "json").out), &ops); err != nil || len(ops.Operations) == 0 {
		t.Fatalf("%v %+v", err, ops)
	}
	return ops.Operations[0].ID
}

// cut takes things out of a document.
func cut(t *testing.T, document []byte, paths ...string) []byte {
	t.Helper()
	var whole map[string]any
	if err := json.Unmarshal(document, &whole); err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		parts := strings.Split(path, ".")
		at := whole
		for _, p := range parts[:len(parts)-1] {
			at, _ = at[p].(map[string]any)
		}
		last := parts[len(parts)-1]
		if at[last] == nil {
			t.Fatalf("the document has no %s", path)
		}
		delete(at, last)
	}
	text, err := json.Marshal(whole)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func contents(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestWhatANewerHostKnowsIsShownButNotLost has a host of a newer version describe a VM.
func TestWhatANewerHostKnowsIsShownButNotLost(t *testing.T) {
	s, r := managed(t, rigOptions{})
	s.env["EDITOR"] = "false" // it must not come to that
	host := scripted(r.Trust, r.Key, func(w http.ResponseWriter, r *http.Request) {
		switch r.Method + " " + r.URL.Path {
		case "GET /v1/version":
			io.WriteString(w, `{"version":"9.9","host":"newer","api":"v1","build":"","more":true,"you":{"name":"alice","role":"admin","notAfter":"2030-01-01T00:00:00Z"}}`)
		case "GET /v1/trust":
			io.WriteString(w, `{"more":[]}`)
		case "GET /v1/vms/demo":
			io.WriteString(w, `{"spec":{"name":"demo","id":"`+id1+`","memory":{"size":67108864,"colour":"red"}},"state":"hibernating","since":"2026-11-28T12:00:00Z"}`)
		default:
			t.Errorf("%s %s", r.Method, r.URL)
		}
	})
	defer host.Close()
	s.must(t, "host", "add", host.Listener.Addr().String(), "--fingerprint", r.fingerprint())
	if out := s.must(t, "vm", "get", "demo", "--host", "newer").out; !strings.Contains(out, "hibernating") {
		t.Errorf("%s", out)
	}
	s.fails(t, 8, `unknown field "colour"`, "vm", "get", "demo", "--host", "newer", "--manifest")
	s.fails(t, 8, `unknown field "colour"`, "vm", "edit", "demo", "--host", "newer")
}

// A command that asks a host is among those that are run against older ones.
func TestEveryCommandThatAsksAHostIsTriedOnOlderOnes(t *testing.T) {
	walk(tree(), nil, func(cmd *cobra.Command, path []string) {
		if cmd.HasSubCommands() || cmd.Flags().Lookup("host") == nil {
			return
		}
		line := strings.Join(path, " ")
		if !slices.ContainsFunc(remoteRuns, func(a remoteRun) bool { return a.line == line || strings.HasPrefix(a.line, line+" ") }) {
			t.Errorf("%s isn't", line)
		}
	})
}
