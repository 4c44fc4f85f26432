package server

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"keel/vmkernel/api"
	"keel/vmkernel/auth"
	"keel/vmkernel/seed"
)

func TestVMsAreMadeChangedAndDeleted(t *testing.T) {
	r := newRig(t)
	c := r.as(auth.Operator)
	a := c.call("POST", "/v1/vms", vmJSON("demo", 1, `{"tier":"test"}`)).want(201)
	var made api.VM
	a.into(&made)
	if made.State != api.Stopped || made.Spec.CPU.Count != 1 || made.Spec.StopTimeout != seed.Duration(30*time.Second) || made.Serial[0].Port != "ttyS0" {
		t.Errorf("%s", a.body)
	}
	tag := c.call("GET", "/v1/vms/demo", nil).want(200).header.Get("ETag")
	if tag == "" || tag != a.header.Get("ETag") || c.call("GET", "/v1/vms/"+made.Spec.ID, nil).want(200).header.Get("ETag") != tag {
		t.Errorf("ETags %q, %q", tag, a.header.Get("ETag"))
	}
	next := vmJSON("demo-2", 1, `{"tier":"test"}`)
	c.call("PUT", "/v1/vms/demo", next).want(428, api.CodeNoMatch)
	c.call("PUT", "/v1/vms/demo", next, "If-Match", `"old"`).want(412, api.CodeStale)
	if a := c.call("PUT", "/v1/vms/demo", next, "If-Match", tag).want(200); a.header.Get("ETag") == tag {
		t.Error("the ETag stays")
	}
	c.call("PUT", "/v1/vms/demo-2", next, "If-Match", tag).want(412, api.CodeStale)
	c.call("GET", "/v1/vms/demo", nil).want(404, api.CodeNotFound)
	c.call("POST", "/v1/vms/demo-2/start", nil).want(200)
	c.call("DELETE", "/v1/vms/demo-2", nil).want(409, api.CodeConflict)
	c.call("POST", "/v1/vms/demo-2/kill", nil).want(200)
	c.call("DELETE", "/v1/vms/demo-2", nil, "If-Match", `"old"`).want(412, api.CodeStale)
	// One that is changed while it is looked at is not deleted as what it was.
	v := r.VMs.Must(t, "demo-2")
	spec, revision := v.Spec()
	r.VMs.Deleting = sync.OnceFunc(func() {
		if err := v.Update(*spec, 0); err != nil {
			t.Error(err)
		}
	})
	c.call("DELETE", "/v1/vms/demo-2", nil, "If-Match", vmTag(revision)).want(412, api.CodeStale)
	c.call("DELETE", "/v1/vms/demo-2", nil).want(204)
	c.call("DELETE", "/v1/vms/demo-2", nil).want(404)
}

func TestStatesFollowTheActs(t *testing.T) {
	r := newRig(t)
	c := r.as(auth.Operator)
	c.call("POST", "/v1/vms", vmJSON("demo", 1, "")).want(201)
	for _, step := range []struct {
		act    string
		status int
		state  string
	}{
		{"pause", 409, api.Stopped}, {"shutdown", 409, api.Stopped}, {"nmi", 409, api.Stopped},
		{"start", 200, api.Running}, {"start", 409, api.Running}, {"pause", 200, api.Paused}, {"resume", 200, api.Running},
		{"nmi", 200, api.Running}, {"reset", 200, api.Running}, {"shutdown", 200, api.Stopped}, {"start", 200, api.Running}, {"kill", 200, api.Stopped},
	} {
		a := c.call("POST", "/v1/vms/demo/"+step.act, nil)
		var now api.VM
		c.call("GET", "/v1/vms/demo", nil).into(&now)
		if a.status != step.status || now.State != step.state {
			t.Fatalf("%s: %d, %s: %s", step.act, a.status, now.State, a.body)
		}
	}
}

func TestDescriptionsAreStrict(t *testing.T) {
	c := newRig(t).as(auth.Operator)
	good := vmJSON("demo", 1, "")
	for _, e := range []struct {
		body  string
		code  api.Code
		field string
	}{
		{strings.Replace(good, `"serial"`, `"sireal"`, 1), api.CodeUnknownField, "sireal"},
		{strings.Replace(good, `"size"`, `"reach":1,"size"`, 1), api.CodeUnknownField, "memory.reach"},
		{strings.Replace(good, `vmlinuz`, `missing`, 1), api.CodeInvalid, "boot.direct.kernel"},
		{strings.Replace(good, `268435456`, `1`, 1), api.CodeInvalid, "memory.size"},
		{strings.Replace(good, `268435456`, `null`, 1), api.CodeInvalid, "memory.size"},
		{strings.Replace(good, `{"name"`, `{"name":"x","name"`, 1), api.CodeInvalid, "name"},
		{strings.Replace(good, `"labels":{}`, `"nics":[]`, 1), api.CodeInvalid, "nics"},
		{good + good, api.CodeInvalid, ""}, {"", api.CodeInvalid, ""}, {"[]", api.CodeInvalid, ""}, {"\xff", api.CodeInvalid, ""},
	} {
		got := c.call("POST", "/v1/vms", e.body).want(400).error()
		if got.Code != e.code || got.Details["field"] != e.field || strings.ContainsAny(got.Message, "\n") {
			t.Errorf("%.60s: %+v", e.body, got)
		}
	}
}

func TestCreatesAreDoneOnceHoweverOftenTheyAreSent(t *testing.T) {
	r := newRig(t)
	var wait sync.WaitGroup
	var mu sync.Mutex
	seen := map[int]int{}
	for i := range 8 {
		c := r.as(auth.Operator)
		wait.Go(func() {
			for range 4 {
				a := c.call("POST", "/v1/vms", vmJSON("demo", 1, ""))
				mu.Lock()
				seen[a.status]++
				mu.Unlock()
			}
			c.call("POST", "/v1/vms", vmJSON("demo", 1, fmt.Sprintf(`{"n":"%d"}`, i))).want(409, api.CodeExists)
		})
	}
	wait.Wait()
	if r.VMs.Creates() != 1 || seen[201] != 1 || seen[200] != 31 {
		t.Errorf("made %d, answers %v", r.VMs.Creates(), seen)
	}
}

func TestOneOfTwoChangesIsStale(t *testing.T) {
	r := newRig(t)
	r.as(auth.Operator).call("POST", "/v1/vms", vmJSON("demo", 1, "")).want(201)
	var wait sync.WaitGroup
	var mu sync.Mutex
	seen := map[int]int{}
	for i := range 8 {
		c := r.as(auth.Operator)
		wait.Go(func() {
			a := c.call("PUT", "/v1/vms/demo", vmJSON("demo", 1, fmt.Sprintf(`{"n":"%d"}`, i)), "If-Match", `"1"`)
			mu.Lock()
			defer mu.Unlock()
			seen[a.status]++
		})
	}
	wait.Wait()
	if seen[200] != 1 || seen[412] != 7 {
		t.Errorf("%v", seen)
	}
}

func TestOperationsOutliveTheirClients(t *testing.T) {
	r := newRig(t)
	c := r.as(auth.Operator)
	c.call("POST", "/v1/vms", vmJSON("demo", 1, "")).want(201)
	release := r.VMs.Slow()
	var o api.Operation
	a := c.call("POST", "/v1/vms/demo/start?wait=0s", nil).want(202)
	if a.into(&o); o.State != api.OpRunning || o.Message == "" || o.Kind != "vm.start" || o.Target != "demo" || o.By != "operator-1" || !o.CanStop || a.header.Get("Location") != "/v1/operations/"+o.ID {
		t.Errorf("%s", a.body)
	}
	c.client.CloseIdleConnections()
	c = r.as(auth.Operator)
	c.call("POST", "/v1/vms/demo/start", nil).want(409, api.CodeConflict)
	began := time.Now()
	c.call("GET", "/v1/operations/"+o.ID+"/wait?wait=100ms", nil).want(200).into(&o)
	if o.State != api.OpRunning || time.Since(began) < 100*time.Millisecond {
		t.Errorf("%+v after %v", o, time.Since(began))
	}
	time.AfterFunc(50*time.Millisecond, release)
	o = api.Operation{ID: o.ID}
	c.call("GET", "/v1/operations/"+o.ID+"/wait?wait=20s", nil).want(200).into(&o)
	if o.State != api.OpSucceeded || o.Finished.IsZero() || o.CanStop || o.Message != "" {
		t.Errorf("%+v", o)
	}
	r.VMs.Slow()
	var down api.Operation
	c.call("POST", "/v1/vms/demo/shutdown?wait=0s", nil).want(202).into(&down)
	at, err := time.Parse(time.RFC3339, strings.TrimPrefix(down.Message, "waiting for the guest, which is ended at "))
	if left := time.Until(at); err != nil || left < 0 || left > 31*time.Second { // of the 30 s that it has
		t.Errorf("%q, %v", down.Message, err)
	}
	c.call("POST", "/v1/operations/"+down.ID+"/cancel", nil).want(200)
	var list api.Operations
	c.call("GET", "/v1/operations", nil).want(200).into(&list)
	if len(list.Operations) != 3 || list.Operations[2].ID != o.ID || list.Operations[1].State != api.OpFailed {
		t.Errorf("%+v", list)
	}
	c.call("POST", "/v1/operations/"+o.ID+"/cancel", nil).want(409)
}

func TestOperationsAreCancelled(t *testing.T) {
	r := newRig(t)
	c := r.as(auth.Operator)
	c.call("POST", "/v1/vms", vmJSON("demo", 1, "")).want(201)
	v := r.VMs.Must(r.t, "demo")
	r.VMs.Slow()
	var o api.Operation
	c.call("POST", "/v1/vms/demo/start?wait=0s", nil).want(202).into(&o)
	c.call("POST", "/v1/operations/"+o.ID+"/cancel", nil).want(200).into(&o)
	if o.State != api.OpCancelled || v.State() != api.Stopped {
		t.Errorf("%+v, %s", o, v.State())
	}
}

func TestOperationsThatAreRememberedAreBounded(t *testing.T) {
	r := newRig(t)
	c := r.as(auth.Admin)
	c.call("POST", "/v1/vms", vmJSON("demo", 1, "")).want(201)
	for range maxEnded + 10 {
		c.call("POST", "/v1/vms/demo/kill", nil).want(409)
	}
	var list api.Operations
	c.call("GET", "/v1/operations", nil).want(200).into(&list)
	if n := len(list.Operations); n > maxEnded+1 {
		t.Errorf("%d", n)
	}
}

func TestOperationsThatRunLeaveRoomForStops(t *testing.T) {
	r := newRig(t)
	r.VMs.Slow()
	operator := r.as(auth.Operator)
	for i := range maxRunning + 1 {
		name := fmt.Sprintf("vm-%d", i)
		operator.call("POST", "/v1/vms", vmJSON(name, i+1, "")).want(201)
		start := operator.call("POST", "/v1/vms/"+name+"/start?wait=0s", nil)
		if i == maxRunning {
			start.want(429, api.CodeTooMany)
			r.VMs.Must(r.t, name).To(api.Running, api.Stopped)
			operator.call("POST", "/v1/vms/"+name+"/shutdown?wait=0s", nil).want(202)
			operator.call("POST", "/v1/vms/"+name+"/kill?wait=10s", nil).want(200)
		} else {
			start.want(202)
		}
	}
	r.as(auth.Admin).call("POST", "/v1/host/restart?wait=0s", `{}`).want(202)
}

func TestManyVMsAreOneRoundTrip(t *testing.T) {
	r := newRig(t)
	for i := range 1000 {
		r.VMs.Add(seed.VM{
			Name: fmt.Sprintf("web-%04d", i), ID: fmt.Sprintf("%08x-0000-4000-8000-000000000001", i), CPU: seed.CPU{Count: 2},
			Memory: seed.Memory{Size: 1 << 30}, Labels: map[string]string{"tier": "web", "owner": "somebody"}})
	}
	c := r.as(auth.Viewer)
	c.call("GET", "/v1/version", nil).want(200)
	began := time.Now()
	a := c.call("GET", "/v1/vms", nil).want(200)
	took := time.Since(began)
	var list api.VMs
	if a.into(&list); len(list.VMs) != 1000 {
		t.Errorf("%d", len(list.VMs))
	}
	t.Logf("%d bytes in %v, the check against the document included", len(a.body), took)
	if len(a.body) > 300<<10 {
		t.Errorf("%d bytes", len(a.body))
	}
}
