package e2e

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"keel/vmkernel/api"
	"keel/vmkernel/api/client"
	"keel/vmkernel/auth"
	"keel/vmkernel/seed"
)

// TestASeedSaysWhoComesIn revokes a user in it, and locks the host down from its boot on: of the administrators whom the
// operators have signed only the one that it lists comes in. What her guest did is in the audit log.
func TestASeedSaysWhoComesIn(t *testing.T) {
	ops := newOperators(t, "ops", time.Now().Add(-time.Hour))
	known, late := ops.admin(), ops.admin()
	_, _, revoked := ops.user("bob", auth.Operator, time.Now())
	_, _, other := ops.user("carol", auth.Viewer, time.Now())
	id, err := auth.IdentityOf(known.Leaf)
	if err != nil {
		t.Fatal(err)
	}
	path := ops.trusting(t, func(h *seed.Host) {
		h.Trust.Revoked = []auth.RevokedCertificate{{Issuer: ops.ca.Fingerprint(), Serial: auth.Serial(revoked.Leaf)}}
		h.Trust.Lockdown = &seed.HostLockdown{Administrators: []auth.Fingerprint{id.Key}}
	}, []seed.VM{metal("crashes", "d")}, files(t, fileMB))
	r, address := bootDoor(t, path, "")
	key := r.door()
	if v, err := letIn(t, dial(t, address, key, other)); err != nil || v.You.Name != "carol" {
		t.Errorf("a viewer: %+v, %v", v, err)
	}
	if _, err := letIn(t, dial(t, address, key, revoked)); err == nil || !strings.Contains(err.Error(), "revoked") {
		t.Errorf("one whom the seed has revoked: %v", err)
	}
	if _, err := letIn(t, dial(t, address, key, late)); err == nil || !strings.Contains(err.Error(), "locked down") {
		t.Errorf("an administrator whom it doesn't list: %v", err)
	}
	conn := dial(t, address, key, known)
	var trust api.Trust
	if err := conn.Get(patient(t), client.Path("trust"), nil, &trust); err != nil {
		t.Fatalf("the one whom it lists: %v", err)
	}
	if !trust.Lockdown.Locked || trust.Lockdown.Administrators != 1 || trust.Claim.Open {
		t.Errorf("%+v", trust)
	}
	text := ""
	for start := time.Now(); !strings.Contains(text, "vm.crashed") && time.Since(start) < time.Minute; time.Sleep(time.Second) {
		var records api.AuditRecords
		if err := conn.Get(patient(t), client.Path("audit", "records"), url.Values{"from": {"0"}, "count": {"100"}}, &records); err != nil {
			t.Fatal(err)
		}
		text = fmt.Sprintf("%s", records.Records)
	}
	for _, want := range []string{"vm.started", "vm.crashed", `"crashes"`} {
		if !strings.Contains(text, want) {
			t.Errorf("the audit log lacks %s: %s", want, text)
		}
	}
}
