package seed

import (
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// obeyAll makes the policy's keys known, whatever this version of Keel obeys.
func obeyAll() {
	Later["host"] = []string{"networks", "datastores"}
	delete(Later, "vm.cpu")
	delete(Later, "vm.memory")
}

func TestMain(m *testing.M) {
	obeyAll()
	os.Exit(m.Run())
}

// policyJSON is a seed with these pools and one VM with these groups; empty is left out.
func policyJSON(pools, cpu, memory string) string {
	host, vm := "{}", ""
	if pools != "" {
		host = `{"pools":` + pools + `}`
	}
	if cpu != "" {
		vm += `"cpu":` + cpu + `,`
	}
	if memory == "" {
		memory = `{"size":8388608}`
	}
	return `{"apiVersion":"keel/v1","host":` + host + `,"vms":[{"name":"a","id":"` + id1 + `",` + vm + `"memory":` + memory +
		`,"boot":{"direct":{"kernel":"k"}}}],FILES}`
}

func TestPolicyIsReadAndItsAbsenceIsNormal(t *testing.T) {
	for _, c := range []struct {
		cpu, memory string
		wantCPU     CPU
		wantMemory  Memory
	}{
		{``, ``, CPU{Count: 1, Model: CPUModel, Share: Share{Shares: 1000}}, Memory{Size: 8 << 20, Share: Share{Shares: 80}}},
		{`{"count":8}`, `{"size":1099511627776}`,
			CPU{Count: 8, Model: CPUModel, Share: Share{Shares: 8000}}, Memory{Size: 1 << 40, Share: Share{Shares: MaxMemoryShares}}},
		{`{"count":2,"shares":1000000,"reservation":2000,"limit":2000,"affinity":[7,4095,0]}`, `{"size":8388608,"shares":1,"reservation":8388608,"limit":8388608}`,
			CPU{Count: 2, Model: CPUModel, Share: Share{1000000, 2000, 2000}, Affinity: []int{0, 7, 4095}}, Memory{Size: 8 << 20, Share: Share{1, 8 << 20, 8 << 20}}},
		{`{"count":2,"limit":2000,"exclusive":true}`, ``,
			CPU{Count: 2, Model: CPUModel, Share: Share{2000, 0, 2000}, Exclusive: true}, Memory{Size: 8 << 20, Share: Share{Shares: 80}}},
		{`{"limit":10,"pool":"p"}`, `{"size":8388608,"limit":4194304,"pool":"p"}`,
			CPU{Count: 1, Model: CPUModel, Share: Share{1000, 0, 10}, Pool: "p"}, Memory{Size: 8 << 20, Share: Share{80, 0, 4 << 20}, Pool: "p"}},
	} {
		s, err := Parse(ofJSON(t, policyJSON(`[{"name":"p"}]`, c.cpu, c.memory)))
		if err != nil || len(s.Refused) > 0 {
			t.Errorf("%s %s: %v, refused %v", c.cpu, c.memory, err, s.Refused)
			continue
		}
		if vm := s.VMs[0]; !reflect.DeepEqual(vm.CPU, c.wantCPU) || !reflect.DeepEqual(vm.Memory, c.wantMemory) {
			t.Errorf("%s %s: %+v %+v\nwant %+v %+v", c.cpu, c.memory, vm.CPU, vm.Memory, c.wantCPU, c.wantMemory)
		}
	}
}

func TestBadPolicyOfAVMRefusesIt(t *testing.T) {
	const pools = `[{"name":"web","cpu":{"limit":500},"memory":{"limit":4194304}},{"name":"none","parent":"web"}]`
	for _, c := range []struct{ cpu, memory, want string }{
		{`{"shares":0}`, ``, `cpu.shares: 0 is below the minimum of 1`},
		{`{"shares":-5}`, ``, `cpu.shares: -5 is below the minimum of 1`},
		{`{"shares":1000001}`, ``, `cpu.shares: 1000001 is above the maximum of 1000000`},
		{`{"shares":99999999999999999999}`, ``, `is above the maximum of 1000000`},
		{`{"shares":1.5}`, ``, `cpu.shares: 1.5 is not a whole number`},
		{`{"shares":"many"}`, ``, `cpu.shares: "many" is not a number`},
		{`{"reservation":-1}`, ``, `cpu.reservation: -1 is not a whole number of thousandths of a processor`},
		{`{"reservation":"50%"}`, ``, `cpu.reservation: "50%" is not a number of thousandths of a processor`},
		{`{"reservation":1001}`, ``, `cpu.reservation: 100.1% is more than its 1 processor can use, 100%`},
		{`{"count":4,"reservation":2500,"affinity":[0,1]}`, ``, `cpu.reservation: 250% is more than its 2 processors of its affinity can use, 200%`},
		{`{"reservation":8001}`, ``, `cpu.reservation: 800.1% is above the maximum of 800%`},
		{`{"reservation":99999999999999999999}`, ``, `cpu.reservation: 99999999999999999999 is above the maximum of 800%`},
		{`{"limit":0}`, ``, `cpu.limit: 0% is below the minimum of 1%: leave it out for no limit`},
		{`{"limit":9}`, ``, `cpu.limit: 0.9% is below the minimum of 1%`},
		{`{"limit":8001}`, ``, `cpu.limit: 800.1% is above the maximum of 800%`},
		{`{"reservation":500,"limit":499}`, ``, `cpu.limit: 49.9% is below the reservation of 50%: raise the limit or lower the reservation`},
		{`{"count":2,"exclusive":true,"limit":1500}`, ``, `cpu.limit: 150% is below the 200% of the processors that it has for itself: raise it or leave exclusive out`},
		{`{"exclusive":1}`, ``, `cpu.exclusive: 1 is not true or false`},
		{`{"affinity":[]}`, ``, `cpu.affinity: names no processor: leave it out for all of them`},
		{`{"affinity":[-1]}`, ``, `cpu.affinity[0]: -1 is below the minimum of 0`},
		{`{"affinity":[0,4096]}`, ``, `cpu.affinity[1]: 4096 is above the maximum of 4095`},
		{`{"affinity":[3,0,3]}`, ``, `cpu.affinity[2]: processor 3 is there twice`},
		{`{"affinity":3}`, ``, `cpu.affinity: 3 is not a list`},
		{`{"pool":"db"}`, ``, `cpu.pool: there is no pool "db": the host has web, none`},
		{`{"pool":7}`, ``, `cpu.pool: 7 is not text: put it in quotes`},
		{`{"pool":""}`, ``, `cpu.pool: there is no pool ""`},
		{`{"pool":"web","reservation":501}`, ``, `cpu.reservation: 50.1% is above the limit of 50% of pool web: raise that or lower this one`},
		{`{"pool":"none","reservation":501}`, ``, `cpu.reservation: 50.1% is above the limit of 50% of pool web`},
		{``, `{"size":8388608,"shares":0}`, `memory.shares: 0 is below the minimum of 1`},
		{``, `{"size":8388608,"shares":-1}`, `memory.shares: -1 is below the minimum of 1`},
		{``, `{"size":8388608,"shares":99999999999999999999}`, `memory.shares: 99999999999999999999 is above the maximum of 10485760`},
		{``, `{"size":8388608,"shares":[]}`, `memory.shares: `},
		{``, `{"size":8388608,"reservation":-4096}`, `memory.reservation: -4096`},
		{``, `{"size":8388608,"reservation":18446744073709551616}`, `memory.reservation: `},
		{``, `{"size":8388608,"limit":-1}`, `memory.limit: -1`},
		{``, `{"size":8388608,"shares":10485761}`, `memory.shares: 10485761 is above the maximum of 10485760`},
		{``, `{"size":8388608,"reservation":12582912}`, `memory.reservation: 12MiB is more than the VM's memory, 8MiB`},
		{``, `{"size":8388608,"reservation":4097}`, `memory.reservation: 4097 bytes is not a multiple of 4KiB`},
		{``, `{"size":8388608,"reservation":-4096}`, `memory.reservation: -4096 is not a whole number of bytes`},
		{``, `{"size":8388608,"limit":0}`, `memory.limit: 0 bytes is below the minimum of 4MiB: leave it out for no limit`},
		{``, `{"size":8388608,"limit":4096}`, `memory.limit: 4KiB is below the minimum of 4MiB`},
		{``, `{"size":8388608,"limit":6291456,"reservation":8388608}`, `memory.limit: 6MiB is below the reservation of 8MiB`},
		{``, `{"size":8388608,"limit":1099511631872}`, `memory.limit: 1073741828KiB is above the maximum of 1024GiB`},
		{``, `{"size":8388608,"reservation":8388608,"pool":"web"}`, `memory.reservation: 8MiB is above the limit of 4MiB of pool web`},
		{``, `{"size":8388608,"pool":"x"}`, `memory.pool: there is no pool "x"`},
		{``, `{"size":8388608,"affinity":[0]}`, `memory.affinity: unknown key; the keys here are size, shares, reservation, limit, pool`},
	} {
		s, err := Parse(ofJSON(t, policyJSON(pools, c.cpu, c.memory)))
		if err != nil || len(s.Refused) != 1 || len(s.Refused[0].Problems) != 1 || !strings.Contains(s.Refused[0].Error(), c.want) {
			t.Errorf("%s %s: %v, %+v\nwant %s", c.cpu, c.memory, err, s, c.want)
		}
	}
	s, err := Parse(ofJSON(t, policyJSON("", `{"pool":"web"}`, ``)))
	const want = `vms[0].cpu.pool: there is no pool "web": the host has none; name it under pools in the document of kind Host`
	if err != nil || len(s.Refused) != 1 || !strings.Contains(s.Refused[0].Error(), want) {
		t.Errorf("without pools: %v, %+v", err, s)
	}
}

func TestBadPoolsRefuseTheSeed(t *testing.T) {
	deep := `{"name":"p0"}`
	for i := range 9 {
		deep += fmt.Sprintf(`,{"name":"p%d","parent":"p%d"}`, i+1, i)
	}
	for _, c := range []struct{ pools, want string }{
		{`{}`, `host.pools: is a group of keys, not a list`},
		{`[7]`, `host.pools[0]: 7 is not a group of keys`},
		{`[{}]`, `host.pools[0].name: is missing: give a name that no other pool has`},
		{`[{"name":"A"}]`, `host.pools[0].name: "A" is not a name`},
		{`[{"name":"system"}]`, `host.pools[0].name: "system" is Keel's own: give another name`},
		{`[{"name":"a"},{"name":"a"}]`, `host.pools[1].name: "a" is taken by another pool (host.pools[0].name)`},
		{`[{"name":"a","parent":"b"}]`, `host.pools[0].parent: there is no pool "b"`},
		{`[{"name":"a","parent":"a"}]`, `host.pools[0].parent: is a cycle: a in a`},
		{`[{"name":"a","parent":"b"},{"name":"b","parent":"c"},{"name":"c","parent":"a"}]`, `host.pools[0].parent: is a cycle: a in b in c in a`},
		{`[` + deep + `]`, `host.pools[8].parent: "p8" is nested more than 8 deep`},
		{`[{"name":"a","cpu":{"shares":0}}]`, `host.pools[0].cpu.shares: 0 is below the minimum of 1`},
		{`[{"name":"a","memory":{"shares":99999999999}}]`, `host.pools[0].memory.shares: 99999999999 is above the maximum of 10485760`},
		{`[{"name":"a","cpu":{"reservation":4096001}}]`, `host.pools[0].cpu.reservation: 409600.1% is above the maximum of 409600%`},
		{`[{"name":"a","cpu":{"reservation":200,"limit":100}}]`, `host.pools[0].cpu.limit: 10% is below the reservation of 20%`},
		{`[{"name":"a","memory":{"reservation":70368744181760}}]`, `host.pools[0].memory.reservation: 68719476740KiB is above the maximum of 65536GiB`},
		{`[{"name":"a","cpu":{"limit":1000}},{"name":"b","parent":"a","cpu":{"reservation":1001}}]`,
			`host.pools[1].cpu.reservation: 100.1%: with it the pools in a reserve 100.1%, and its limit is 100%: raise that or lower this one`},
		{`[{"name":"a","cpu":{"limit":1000}},{"name":"b","parent":"a","cpu":{"reservation":700}},{"name":"c","parent":"b","cpu":{"reservation":600}},{"name":"d","parent":"b","cpu":{"reservation":500}}]`,
			`host.pools[3].cpu.reservation: 50%: with it the pools in a reserve 110%, and its limit is 100%`},
		{`[{"name":"b","parent":"a","memory":{"reservation":4194304}},{"name":"a","memory":{"limit":6291456}},{"name":"c","parent":"a","memory":{"reservation":4194304}}]`,
			`host.pools[2].memory.reservation: 4MiB: with it the pools in a reserve 8MiB, and its limit is 6MiB`},
		{`[{"name":"a","affinity":[0]}]`, `host.pools[0].affinity: unknown key; the keys here are name, parent, cpu, memory`},
		{`[{"name":"a","cpu":{"pool":"b"}}]`, `host.pools[0].cpu.pool: unknown key; the keys here are shares, reservation, limit`},
	} {
		s, err := Parse(ofJSON(t, policyJSON(c.pools, "", "")))
		if s != nil || err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v\nwant %s", c.pools, err, c.want)
		}
	}
	// What is wrong elsewhere leaves a cycle with one line for each pool in it, and none for those that lead to it.
	_, err := Parse(ofJSON(t, policyJSON(`[{"name":"x","parent":"a"},{"name":"a","parent":"b"},{"name":"b","parent":"a"}]`, "", "")))
	if p, ok := err.(Problems); !ok || len(p) != 2 {
		t.Errorf("a pool that leads to a cycle: %v", err)
	}
}

func TestPoolsAreParentsFirst(t *testing.T) {
	s, err := Parse(ofJSON(t, policyJSON(`[{"name":"c","parent":"b"},{"name":"b","parent":"a"},{"name":"z"},{"name":"a"}]`, "", "")))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, p := range s.Host.Pools {
		names = append(names, p.Name)
	}
	if !slices.Equal(names, []string{"z", "a", "b", "c"}) {
		t.Errorf("pools %v", names)
	}
	if p := s.Host.Pools[0]; p.CPU != (Share{Shares: PoolCPUShares}) || p.Memory != (Share{Shares: PoolMemoryShares}) {
		t.Errorf("what is left out is not normal: %+v", p)
	}
}

func TestKeysThatAreNotObeyedAreRefusedByName(t *testing.T) {
	defer obeyAll()
	Later["vm.cpu"] = []string{"shares", "pool"}
	Later["host"] = []string{"pools"}
	for _, c := range []struct{ pools, cpu, want string }{
		{`[]`, ``, `host.pools: "pools" is not in this version of Keel: leave it out`},
		{``, `{"shares":1}`, `vms[0].cpu.shares: "shares" is not in this version of Keel: leave it out`},
		{``, `{"pool":"x"}`, `vms[0].cpu.pool: "pool" is not in this version of Keel: leave it out`},
	} {
		s, err := Parse(ofJSON(t, policyJSON(c.pools, c.cpu, "")))
		if err == nil && len(s.Refused) == 1 {
			err = s.Refused[0]
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s %s: %v\nwant %s", c.pools, c.cpu, err, c.want)
		}
	}
	// What isn't obeyed isn't filled in, so that what is written is what is accepted.
	s, err := Parse(ofJSON(t, policyJSON("", "", "")))
	if err != nil || len(s.VMs) != 1 || s.VMs[0].CPU.Shares != 0 || s.VMs[0].Memory.Shares == 0 {
		t.Errorf("%v, %+v", err, s)
	}
}

func TestFormatPercent(t *testing.T) {
	for v, want := range map[uint64]string{0: "0%", 1: "0.1%", 500: "50%", 125: "12.5%", 8000: "800%"} {
		if got := FormatPercent(v); got != want {
			t.Errorf("FormatPercent(%d) = %s, want %s", v, got, want)
		}
	}
}

// TestWhatIsInAPoolMayReserveMoreThanThePool: alone as together, since a pool's reservation is what is kept for it at least.
func TestWhatIsInAPoolMayReserveMoreThanThePool(t *testing.T) {
	const pools = `[{"name":"web","cpu":{"reservation":500,"limit":2000},"memory":{"reservation":4194304}},{"name":"in","parent":"web","cpu":{"reservation":1500},"memory":{"reservation":8388608}}]`
	for _, pool := range []string{"web", "in"} {
		s, err := Parse(ofJSON(t, policyJSON(pools, `{"pool":"`+pool+`","count":2,"reservation":1600}`, `{"size":8388608,"reservation":8388608,"pool":"`+pool+`"}`)))
		if err != nil || len(s.Refused) != 0 || len(s.VMs) != 1 || s.VMs[0].CPU.Reservation != 1600 {
			t.Errorf("in %s: %v, %+v", pool, err, s)
		}
	}
}
