package auth

import (
	"testing"
	"time"
)

// comes has a user come in as through TLS.
func (m *machine) comes(id Identity) Reason {
	if err := m.know(id); err != nil {
		return ReasonOf(err)
	}
	return ""
}

func identity(t testing.TB, m *machine, ca *CA, name string, r Role) Identity {
	t.Helper()
	id, err := IdentityOf(user(t, ca, name, Grant{Role: r}))
	if err != nil {
		t.Fatal(err)
	}
	id.Issuer = ca.Fingerprint()
	return id
}

func TestLockdownLetsInTheAdministratorsThatItKnows(t *testing.T) {
	ca := newCA(t, "ops")
	m := newMachine(t, Config{Lockdown: Lockdown{On: true, After: time.Hour}}, ca)
	anna, late := identity(t, m, ca, "anna", Admin), identity(t, m, ca, "late", Admin)
	oper := identity(t, m, ca, "oper", Operator)
	if r := m.comes(anna); r != "" {
		t.Fatalf("anna: %s", r)
	}
	if s := m.Lockdown(); !s.On || s.Locked || s.In != time.Hour || s.Admins != 1 {
		t.Errorf("%+v", s)
	}
	m.uptime = time.Hour
	if s := m.Lockdown(); !s.Locked || s.In != 0 {
		t.Errorf("%+v", s)
	}
	for id, want := range map[*Identity]Reason{&anna: "", &late: LockedDown, &oper: ""} {
		if got := m.comes(*id); got != want {
			t.Errorf("%s: %q, want %q", id, got, want)
		}
	}
	// A renewed certificate has another serial, and the same key.
	renewed := anna
	renewed.Serial = late.Serial
	if r := m.comes(renewed); r != "" {
		t.Errorf("renewed: %s", r)
	}
	if err := m.Recheck(late, now); ReasonOf(err) != LockedDown {
		t.Errorf("%v", err)
	}
	// Revocation goes on.
	if err := m.Revoke(RevokedCertificate{anna.Issuer, anna.Serial}); err != nil || m.comes(anna) != Revoked {
		t.Errorf("%v", err)
	}
}

func TestLockdownFromBootKnowsTheSeedsAdministrators(t *testing.T) {
	ca := newCA(t, "ops")
	var anna Identity
	for range 2 {
		m := newMachine(t, Config{Lockdown: Lockdown{On: true, Administrators: []Fingerprint{anna.Key}}}, ca)
		if anna.Name == "" {
			anna = identity(t, m, ca, "anna", Admin)
			continue
		}
		if r := m.comes(identity(t, m, ca, "late", Admin)); r != LockedDown {
			t.Errorf("late: %q", r)
		}
		if r := m.comes(anna); r != "" {
			t.Errorf("anna: %q", r)
		}
	}
}

// TestNobodyIsLockedOutByAccident locks a host down before any administrator has come.
func TestNobodyIsLockedOutByAccident(t *testing.T) {
	ca := newCA(t, "ops")
	m := newMachine(t, Config{}, ca)
	m.LockNow()
	anna, late := identity(t, m, ca, "anna", Admin), identity(t, m, ca, "late", Admin)
	// Whether someone could come in is no coming in: a certificate is public.
	if _, err := m.Identify(chain(user(t, ca, "late", Grant{Role: Admin})), now); err != nil || m.Lockdown().Admins != 0 {
		t.Errorf("%v, %+v", err, m.Lockdown())
	}
	if r := m.comes(anna); r != "" {
		t.Errorf("the first: %q", r)
	}
	if r := m.comes(late); r != LockedDown {
		t.Errorf("the second: %q", r)
	}
}

func TestLockNowEndsAClaimAndTellsThoseWhoWatch(t *testing.T) {
	m := newMachine(t, Config{})
	told := 0
	m.Watch(func() { told++ })
	m.uptime = time.Minute
	m.LockNow()
	if m.ClaimOpen() || told != 1 || !m.Lockdown().Locked {
		t.Errorf("open %v, told %d times, %+v", m.ClaimOpen(), told, m.Lockdown())
	}
}
