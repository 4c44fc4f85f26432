package server

import (
	"strings"
	"testing"

	"keel/vmkernel/api"
	"keel/vmkernel/auth"
	"keel/vmkernel/seed"
)

// TestBadPoliciesAreRefusedByName: over the API as in a seed, of a VM that is to be made and of one that is there, by the key and
// with the numbers; the VM that is there stays as it is.
func TestBadPoliciesAreRefusedByName(t *testing.T) {
	r := newRig(t)
	r.VMs.AddPools(seed.Pool{Name: "web", CPU: seed.Share{Shares: 1, Limit: 500}, Memory: seed.Share{Shares: 1, Reservation: 4 << 20}})
	c := r.as(auth.Operator)
	with := func(name string, n int, cpu, memory string) string {
		return strings.Replace(vmJSON(name, n, ""), `"memory":{"size":268435456}`, `"cpu":{`+cpu+`},"memory":{"size":268435456`+memory+`}`, 1)
	}
	tag := c.call("POST", "/v1/vms", with("demo", 1, `"count":2,"shares":7,"pool":"web"`, "")).want(201).header.Get("ETag")
	for _, e := range []struct{ cpu, memory, field, want string }{
		{`"shares":-5`, "", "cpu.shares", "-5 is below the minimum of 1"},
		{`"shares":0`, "", "cpu.shares", "0 is below the minimum of 1"},
		{`"shares":99999999999999999999`, "", "cpu.shares", "above the maximum of 1000000"},
		{`"reservation":-1`, "", "cpu.reservation", "-1 is not a whole number of thousandths"},
		{`"reservation":8001`, "", "cpu.reservation", "800.1% is above the maximum of 800%"},
		{`"count":2,"reservation":2001`, "", "cpu.reservation", "200.1% is more than its 2 processors can use, 200%"},
		{`"reservation":500,"limit":400`, "", "cpu.limit", "40% is below the reservation of 50%"},
		{`"pool":"none"`, "", "cpu.pool", `there is no pool "none": the host has web`},
		{`"pool":"web","reservation":600`, "", "cpu.reservation", "60% is above the limit of 50% of pool web"},
		{`"affinity":[4096]`, "", "cpu.affinity[0]", "4096 is above the maximum of 4095"},
		{`"affinity":[-1]`, "", "cpu.affinity[0]", "-1 is below the minimum of 0"},
		{`"affinity":[]`, "", "cpu.affinity", "names no processor"},
		{"", `,"shares":0`, "memory.shares", "0 is below the minimum of 1"},
		{"", `,"shares":-1`, "memory.shares", "-1 is below the minimum of 1"},
		{"", `,"reservation":268439552`, "memory.reservation", "262148KiB is more than the VM's memory, 256MiB"},
		{"", `,"reservation":8388608,"limit":4194304`, "memory.limit", "4MiB is below the reservation of 8MiB"},
		{"", `,"limit":18446744073709551616`, "memory.limit", "18446744073709551616"},
		{"", `,"pool":"none"`, "memory.pool", `there is no pool "none"`},
	} {
		for _, call := range []struct{ method, path, name string }{{"POST", "/v1/vms", "other"}, {"PUT", "/v1/vms/demo", "demo"}} {
			n := map[string]int{"demo": 1, "other": 2}[call.name]
			got := c.call(call.method, call.path, with(call.name, n, e.cpu, e.memory), "If-Match", tag).want(400, api.CodeInvalid).error()
			if got.Details["field"] != e.field || !strings.Contains(got.Message, e.want) {
				t.Errorf("%s %s%s: %+v, want %s: %s", call.method, e.cpu, e.memory, got, e.field, e.want)
			}
		}
	}
	c.call("GET", "/v1/vms/other", nil).want(404)
	var now api.VM
	c.call("GET", "/v1/vms/demo", nil).want(200).into(&now)
	if now.Spec.CPU.Shares != 7 || now.Spec.CPU.Pool != "web" {
		t.Errorf("what was refused changed it: %+v", now.Spec.CPU)
	}
}
