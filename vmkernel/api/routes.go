package api

import "net/http"

// Route is one row of the table: what can be called, by whom, on what, and how the call is recorded.
type Route struct {
	Method  string
	Pattern string // as http.ServeMux writes it
	Name    string // the server's handler, and the document's operationId
	Summary string
	Roles   Roles
	Scope   Scope
	Class   Class
	Kind    Kind
	Query   []Param
	In      any    // the request's type; nil: no body
	Out     any    // the answer's type; nil: no body, or none in JSON
	Status  int    // of success, where the handler has no other
	Match   bool   // the request carries If-Match
	Media   string // of a Raw answer
}

// Roles says which roles may call a route.
type Roles uint8

// Roles, and the sets of them that the table uses.
const (
	Viewer Roles = 1 << iota
	Operator
	Admin
	Auditor

	everybody = Viewer | Operator | Admin | Auditor
	readers   = Viewer | Operator | Admin
	operators = Operator | Admin
	admins    = Admin
	auditors  = Auditor | Admin
	Stranger  = Roles(0) // without a certificate, and only while a claim is open
)

// RoleNames are the roles as certificates have them, in the order of their bits.
var RoleNames = [...]string{"viewer", "operator", "admin", "auditor"}

// Names lists the roles of a set.
func (r Roles) Names() (names []string) {
	for i, name := range RoleNames {
		if r&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return names
}

// Has says whether the role of that name is in the set.
func (r Roles) Has(name string) bool {
	for i, n := range RoleNames {
		if n == name {
			return r&(1<<i) != 0
		}
	}
	return false
}

// Scope says what a route is for a caller whose role is only for VMs with certain labels.
type Scope uint8

// Scopes.
const (
	Whole Scope = iota // it concerns the whole host: refused
	Free               // it concerns no VM: like anybody's
	OneVM              // the VM must have the labels, else it isn't there
	Seen               // what it lists is only of VMs with the labels
)

// Class says how a call stands to an audit log whose collector is down: what may still be done.
type Class uint8

// Classes.
const (
	Read   Class = iota
	Stop         // it stops VMs or the host
	Repair       // it repairs the forwarding or the way to it
	Change       // anything else: refused
)

// Kind is the form of a call.
type Kind uint8

// Kinds.
const (
	Plain     Kind = iota // JSON there and back, at once
	Upload                // bytes there
	Raw                   // another media type back, at once
	Stream                // lines back, for as long as the client listens
	WebSocket             // both ways
	Waiting               // JSON, once something has happened
)

// Param is a parameter of a query.
type Param struct {
	Name string
	Type string // string, integer, boolean, duration
	Help string
}

var (
	follow   = Param{"follow", "boolean", "go on with what comes (default true)"}
	from     = Param{"from", "integer", "the first sequence number; without it, the next that comes"}
	waitFor  = Param{"wait", "duration", "how long to wait for the operation's end, at most 60s"}
	offset   = Param{"from", "integer", "the first byte, counted from the guest's first; negative: as many from the end, and over WebSocket only what comes"}
	readFrom = []Param{from, follow}
	waiting  = []Param{waitFor}
)

// Routes is the table. What isn't in it is not served.
var Routes = []Route{
	{Method: "GET", Pattern: "/v1/version", Name: "GetVersion", Summary: "What runs, and who you are to it", Roles: everybody, Scope: Free, Out: Version{}},
	{Method: "GET", Pattern: "/v1/openapi.json", Name: "GetOpenAPI", Summary: "This document", Roles: everybody, Scope: Free, Kind: Raw, Media: "application/json"},

	{Method: "GET", Pattern: "/v1/host", Name: "GetHost", Summary: "The host: hardware, resources, health", Roles: readers, Scope: Free, Out: Host{}},
	{Method: "GET", Pattern: "/v1/host/log", Name: "GetHostLog", Summary: "The host's log, a LogLine a line", Roles: operators, Kind: Stream, Query: readFrom, Out: LogLine{}},
	{Method: "GET", Pattern: "/v1/host/metrics", Name: "GetMetrics", Summary: "Metrics as Prometheus reads them", Roles: readers, Kind: Raw, Media: "text/plain; version=0.0.4; charset=utf-8"},
	{Method: "GET", Pattern: "/v1/host/support", Name: "GetSupport", Summary: "A support bundle, .tar.gz, without secrets", Roles: admins, Kind: Raw, Media: "application/gzip"},
	{Method: "POST", Pattern: "/v1/host/shutdown", Name: "ShutdownHost", Summary: "Stop all VMs and switch the host off", Roles: admins, Class: Stop, In: HostStop{}, Out: Operation{}, Status: http.StatusAccepted, Query: waiting},
	{Method: "POST", Pattern: "/v1/host/restart", Name: "RestartHost", Summary: "Stop all VMs and restart the host", Roles: admins, Class: Stop, In: HostStop{}, Out: Operation{}, Status: http.StatusAccepted, Query: waiting},
	{Method: "GET", Pattern: "/v1/host/time", Name: "GetTime", Summary: "The host's clock", Roles: readers, Scope: Free, Out: HostTime{}},
	{Method: "PUT", Pattern: "/v1/host/time", Name: "SetTime", Summary: "Set the clock, or the servers that it follows", Roles: admins, Class: Repair, In: HostTimeSet{}, Out: HostTime{}, Match: true},
	{Method: "GET", Pattern: "/v1/host/network", Name: "GetNetwork", Summary: "How the host is reached", Roles: readers, Out: Network{}},
	{Method: "PUT", Pattern: "/v1/host/network", Name: "SetNetwork", Summary: "Change how the host is reached; it reverts unless confirmed within 60 seconds", Roles: admins, Class: Repair, In: NetworkConfig{}, Out: Network{}, Status: http.StatusAccepted, Match: true},
	{Method: "POST", Pattern: "/v1/host/network/confirm", Name: "ConfirmNetwork", Summary: "Keep the change of the network", Roles: admins, Class: Repair, Out: Network{}},

	{Method: "GET", Pattern: "/v1/vms", Name: "ListVMs", Summary: "All VMs", Roles: readers, Scope: Seen, Out: VMs{}},
	{Method: "POST", Pattern: "/v1/vms", Name: "CreateVM", Summary: "Make a VM; the same description again is the same VM", Roles: operators, Scope: OneVM, Class: Change, In: VMSpec{}, Out: VM{}, Status: http.StatusCreated},
	{Method: "GET", Pattern: "/v1/vms/{vm}", Name: "GetVM", Summary: "A VM", Roles: readers, Scope: OneVM, Out: VM{}},
	{Method: "PUT", Pattern: "/v1/vms/{vm}", Name: "UpdateVM", Summary: "Change a VM's description", Roles: operators, Scope: OneVM, Class: Change, In: VMSpec{}, Out: VM{}, Match: true},
	{Method: "DELETE", Pattern: "/v1/vms/{vm}", Name: "DeleteVM", Summary: "Delete a VM that is stopped", Roles: operators, Scope: OneVM, Class: Change, Status: http.StatusNoContent},
	{Method: "POST", Pattern: "/v1/vms/{vm}/start", Name: "StartVM", Summary: "Start a VM", Roles: operators, Scope: OneVM, Class: Change, Out: Operation{}, Status: http.StatusAccepted, Query: waiting},
	{Method: "POST", Pattern: "/v1/vms/{vm}/shutdown", Name: "ShutdownVM", Summary: "Press the power button; end the VM after its stopTimeout", Roles: operators, Scope: OneVM, Class: Stop, Out: Operation{}, Status: http.StatusAccepted, Query: waiting},
	{Method: "POST", Pattern: "/v1/vms/{vm}/kill", Name: "KillVM", Summary: "End a VM at once", Roles: operators, Scope: OneVM, Class: Stop, Out: Operation{}, Status: http.StatusAccepted, Query: waiting},
	{Method: "POST", Pattern: "/v1/vms/{vm}/pause", Name: "PauseVM", Summary: "Hold a VM's processors", Roles: operators, Scope: OneVM, Class: Stop, Out: VM{}},
	{Method: "POST", Pattern: "/v1/vms/{vm}/resume", Name: "ResumeVM", Summary: "Let them go on", Roles: operators, Scope: OneVM, Class: Change, Out: VM{}},
	{Method: "POST", Pattern: "/v1/vms/{vm}/reset", Name: "ResetVM", Summary: "Press the reset button", Roles: operators, Scope: OneVM, Class: Change, Out: VM{}},
	{Method: "POST", Pattern: "/v1/vms/{vm}/nmi", Name: "SendNMI", Summary: "Send a non-maskable interrupt", Roles: operators, Scope: OneVM, Class: Change, Out: VM{}},
	{Method: "GET", Pattern: "/v1/vms/{vm}/stats", Name: "GetVMStats", Summary: "What a VM has used", Roles: readers, Scope: OneVM, Out: VMStats{}},
	{Method: "GET", Pattern: "/v1/vms/{vm}/console/{port}", Name: "OpenConsole", Summary: "A serial port, as WebSocket keel.console.v1", Roles: operators, Scope: OneVM, Class: Change, Kind: WebSocket,
		Query: []Param{{"mode", "string", "write (default) or watch"}, {"take", "boolean", "take it from who holds it"}, offset}},
	{Method: "GET", Pattern: "/v1/vms/{vm}/console/{port}/log", Name: "GetConsoleLog", Summary: "What a serial port has shown, as bytes; Console-From and Console-End say which", Roles: operators, Scope: OneVM, Kind: Raw, Media: "application/octet-stream", Query: []Param{offset}},

	{Method: "GET", Pattern: "/v1/events", Name: "GetEvents", Summary: "What happens, an Event a line", Roles: readers, Scope: Seen, Kind: Stream, Query: readFrom, Out: Event{}},

	{Method: "GET", Pattern: "/v1/images", Name: "ListImages", Summary: "All images", Roles: readers, Scope: Free, Out: Images{}},
	{Method: "POST", Pattern: "/v1/images", Name: "CreateImage", Summary: "Begin an upload; the same again is the same image", Roles: operators, Scope: Free, Class: Change, In: ImageCreate{}, Out: Image{}, Status: http.StatusCreated},
	{Method: "GET", Pattern: "/v1/images/{image}", Name: "GetImage", Summary: "An image, and how far its upload is", Roles: readers, Scope: Free, Out: Image{}},
	{Method: "HEAD", Pattern: "/v1/images/{image}", Name: "HeadImage", Summary: "How far an upload is, as Upload-Offset and Upload-Length", Roles: readers, Scope: Free},
	{Method: "PATCH", Pattern: "/v1/images/{image}", Name: "AppendImage", Summary: "Go on with an upload at Upload-Offset; at most 8 MiB at once", Roles: operators, Scope: Free, Class: Change, Kind: Upload, Out: Image{}},
	{Method: "DELETE", Pattern: "/v1/images/{image}", Name: "DeleteImage", Summary: "Delete an image that no VM names", Roles: admins, Class: Change, Status: http.StatusNoContent},

	{Method: "GET", Pattern: "/v1/operations", Name: "ListOperations", Summary: "Acts that run, and the last that ended", Roles: readers, Scope: Seen, Out: Operations{}},
	{Method: "GET", Pattern: "/v1/operations/{operation}", Name: "GetOperation", Summary: "An operation", Roles: readers, Scope: Seen, Out: Operation{}},
	{Method: "GET", Pattern: "/v1/operations/{operation}/wait", Name: "WaitOperation", Summary: "An operation, once it has ended or the time is over", Roles: readers, Scope: Seen, Kind: Waiting, Out: Operation{}, Query: waiting},
	{Method: "POST", Pattern: "/v1/operations/{operation}/cancel", Name: "CancelOperation", Summary: "Give an operation up", Roles: operators, Scope: Seen, Class: Stop, Out: Operation{}},

	{Method: "GET", Pattern: "/v1/worlds", Name: "ListWorlds", Summary: "What is scheduled, and what it has used", Roles: readers, Out: Worlds{}},

	{Method: "GET", Pattern: "/v1/pools", Name: "ListPools", Summary: "All pools, parents first, and what they have", Roles: readers, Out: Pools{}},
	{Method: "GET", Pattern: "/v1/pools/{pool}", Name: "GetPool", Summary: "A pool, and what it has", Roles: readers, Out: Pool{}},
	{Method: "PUT", Pattern: "/v1/pools/{pool}", Name: "SetPool", Summary: "Change what a pool has of processors and memory, at once and until the host restarts", Roles: admins, Class: Change, In: PoolPolicy{}, Out: Pool{}, Match: true},

	{Method: "GET", Pattern: "/v1/trust", Name: "GetTrust", Summary: "Whom the host believes, and by what it is known", Roles: admins, Out: Trust{}},
	{Method: "POST", Pattern: "/v1/trust/revocations", Name: "Revoke", Summary: "End the use of a client certificate", Roles: admins, Class: Stop, In: Revocation{}, Out: Trust{}},
	{Method: "POST", Pattern: "/v1/trust/cas", Name: "TrustCA", Summary: "Trust another operator CA, until the host restarts; not under lockdown", Roles: admins, Class: Change, In: NewCA{}, Out: Trust{}},
	{Method: "DELETE", Pattern: "/v1/trust/cas/{ca}", Name: "DistrustCA", Summary: "Trust an operator CA no more, by its fingerprint; not the last", Roles: admins, Class: Stop, Out: Trust{}},
	{Method: "POST", Pattern: "/v1/trust/lockdown", Name: "LockDown", Summary: "Take no claims, no new authorities and no unknown administrators, from now on or after a time", Roles: admins, Class: Change, Out: Trust{},
		Query: []Param{{"after", "duration", "when from now on (default 0s: at once); it can't be put off later, only brought forward"}}},
	{Method: "POST", Pattern: "/v1/trust/proof", Name: "ProveHost", Summary: "Prove that the host knows its seed's token", Roles: everybody, Scope: Free, In: Nonce{}, Out: Proof{}},
	{Method: "POST", Pattern: "/v1/trust/host-certificate", Name: "SetHostCertificate", Summary: "Give the host a certificate that an operator CA has signed", Roles: admins, Class: Change, In: HostCertificate{}, Out: Trust{}},
	{Method: "POST", Pattern: "/v1/claim", Name: "ClaimHost", Summary: "Give an operator CA to a host, by the code on its console; only while a claim is open", Roles: Stranger, Scope: Free, Class: Change, In: Claim{}, Out: Claimed{}},

	{Method: "GET", Pattern: "/v1/audit/checkpoint", Name: "GetCheckpoint", Summary: "The signed state of the audit log", Roles: auditors, Out: AuditCheckpoint{}},
	{Method: "GET", Pattern: "/v1/audit/records", Name: "GetRecords", Summary: "Records of the audit log", Roles: auditors, Out: AuditRecords{},
		Query: []Param{{"from", "integer", "the first record's number, from 0"}, {"count", "integer", "how many, at most 1000"}}},
	{Method: "GET", Pattern: "/v1/audit/follow", Name: "FollowRecords", Summary: "Records of the audit log and those that come, an AuditRecords a line", Roles: auditors, Kind: Stream, Out: AuditRecords{},
		Query: []Param{{"from", "integer", "the first record's number; without it, the next that comes"}}},
	{Method: "GET", Pattern: "/v1/audit/proof", Name: "GetProof", Summary: "That the log of size goes on from the log of old, or holds record", Roles: auditors, Out: AuditProof{},
		Query: []Param{{"size", "integer", "records of the newer log"}, {"old", "integer", "records of the older log"}, {"record", "integer", "a record's number"}}},
	{Method: "GET", Pattern: "/v1/audit/forwarding", Name: "GetForwarding", Summary: "Where the audit log is sent", Roles: auditors, Out: AuditForwardingStatus{}},
	{Method: "PUT", Pattern: "/v1/audit/forwarding", Name: "SetForwarding", Summary: "Send the audit log elsewhere", Roles: admins, Class: Repair, In: AuditForwarding{}, Out: AuditForwardingStatus{}, Match: true},
}
