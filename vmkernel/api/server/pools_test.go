package server

import (
	"strings"
	"testing"

	"keel/vmkernel/api"
	"keel/vmkernel/auth"
	"keel/vmkernel/seed"
)

// TestPoolsAreChangedByWhoHasReadThem: everybody who reads sees them, administrators change them, and it is recorded.
func TestPoolsAreChangedByWhoHasReadThem(t *testing.T) {
	r := newRig(t)
	var none api.Pools
	if r.as(auth.Viewer).call("GET", "/v1/pools", nil).want(200).into(&none); none.Pools == nil || len(none.Pools) != 0 {
		t.Errorf("without pools: %+v", none)
	}
	r.VMs.AddPools(seed.Pool{Name: "web", CPU: seed.Share{Shares: 3000, Reservation: 500}, Memory: seed.Share{Shares: 1}}, seed.Pool{Name: "in", Parent: "web"})
	var all api.Pools
	if r.as(auth.Viewer).call("GET", "/v1/pools", nil).want(200).into(&all); len(all.Pools) != 2 || all.Pools[1].Parent != "web" || all.Pools[0].Used == 0 {
		t.Errorf("%+v", all)
	}
	tag := r.as(auth.Viewer).call("GET", "/v1/pools/web", nil).want(200).header.Get("ETag")
	const body = `{"cpu":{"shares":5,"limit":1500},"memory":{"reservation":8388608}}`
	r.as(auth.Operator).call("PUT", "/v1/pools/web", body, "If-Match", tag).want(403, api.CodeDenied)
	r.as(auth.Viewer).call("PUT", "/v1/pools/web", body, "If-Match", tag).want(403, api.CodeDenied)
	c := r.as(auth.Admin)
	c.call("PUT", "/v1/pools/web", body).want(428)
	for _, e := range []struct{ body, field, want string }{
		{`{"cpu":{"shares":0}}`, "cpu.shares", "0 is below the minimum of 1"},
		{`{"cpu":{"reservation":-1}}`, "cpu.reservation", "-1 is not a whole number"},
		{`{"cpu":{"reservation":900,"limit":800}}`, "cpu.limit", "80% is below the reservation of 90%"},
		{`{"memory":{"limit":4096}}`, "memory.limit", "4KiB is below the minimum of 4MiB"},
		{`{"memory":{"reservation":99999999999999999999}}`, "memory.reservation", "99999999999999999999"},
		{`{"parent":"in"}`, "parent", "unknown key"},
	} {
		got := c.call("PUT", "/v1/pools/web", e.body, "If-Match", tag).want(400).error()
		if got.Details["field"] != e.field || !strings.Contains(got.Message, e.want) {
			t.Errorf("%s: %+v, want %s: %s", e.body, got, e.field, e.want)
		}
	}
	if got := c.call("PUT", "/v1/pools/web", `{"cpu":{"reservation":4100}}`, "If-Match", tag).want(507, api.CodeFull).error(); !strings.Contains(got.Message, "410%: the machine has 4 processors") {
		t.Errorf("%+v", got)
	}
	var now api.Pool
	next := c.call("PUT", "/v1/pools/web", body, "If-Match", tag).want(200)
	next.into(&now)
	if now.CPU != (seed.Share{Shares: 5, Limit: 1500}) || now.Memory != (seed.Share{Shares: seed.PoolMemoryShares, Reservation: 8 << 20}) || next.header.Get("ETag") == tag {
		t.Errorf("%+v", now)
	}
	c.call("PUT", "/v1/pools/web", body, "If-Match", tag).want(412, api.CodeStale)
	c.call("GET", "/v1/pools/none", nil).want(404, api.CodeNotFound)
	c.call("PUT", "/v1/pools/none", body, "If-Match", "*").want(404, api.CodeNotFound)
	r.scoped(auth.Viewer, map[string]string{"tier": "test"}).call("GET", "/v1/pools", nil).want(403, api.CodeDenied)

	// A VM's description is held against them as they are now.
	over := strings.Replace(vmJSON("over", 1, ""), `"memory":{"size":268435456`, `"cpu":{"count":2,"pool":"web","reservation":1600},"memory":{"size":268435456`, 1)
	if got := c.call("POST", "/v1/vms", over).want(400).error(); !strings.Contains(got.Message, "160% is above the limit of 150% of pool web") {
		t.Errorf("%+v", got)
	}
	said := false
	for _, text := range r.Log.Read(0, 1000).Records {
		said = said || strings.Contains(string(text), `"/v1/pools/{pool}"`) && strings.Contains(string(text), `limit`) && strings.Contains(string(text), `web`)
	}
	if !said {
		t.Error("the change isn't in the audit log")
	}
}
