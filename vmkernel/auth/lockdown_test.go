package auth

import (
	"fmt"
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
	m.Lock(0)
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

func TestWhoIsOneTooManyIsNotForgottenInSilence(t *testing.T) {
	ca := newCA(t, "ops")
	m := newMachine(t, Config{}, ca)
	id := identity(t, m, ca, "anna", Admin)
	come := func(n int) {
		t.Helper()
		id.Key = Fingerprint(fmt.Sprint("key ", n))
		if r := m.comes(id); r != "" {
			t.Fatalf("%d: %q", n, r)
		}
	}
	for n := range MaxAdmins {
		come(n)
	}
	come(0)
	if s := m.Lockdown(); s.Full || s.Admins != MaxAdmins {
		t.Errorf("%d: %+v", MaxAdmins, s)
	}
	come(MaxAdmins)
	if s := m.Lockdown(); !s.Full || s.Admins != MaxAdmins {
		t.Errorf("one more: %+v", s)
	}
	m.Lock(0)
	if r := m.comes(id); r != LockedDown {
		t.Errorf("under lockdown: %q", r)
	}
}

func TestLockEndsAClaimAndTellsThoseWhoWatch(t *testing.T) {
	m := newMachine(t, Config{})
	told := 0
	m.Watch(func() { told++ })
	m.uptime = time.Minute
	m.Lock(0)
	if m.ClaimOpen() || told != 1 || !m.Lockdown().Locked {
		t.Errorf("open %v, told %d times, %+v", m.ClaimOpen(), told, m.Lockdown())
	}
}

func TestLockdownComesWhenItWasAskedFor(t *testing.T) {
	m := newMachine(t, Config{})
	ok := func(after time.Duration, want bool) {
		t.Helper()
		if err := m.Lock(after); (err == nil) != want {
			t.Errorf("in %s: %v", after, err)
		}
	}
	m.uptime = time.Hour
	ok(-1, false)
	ok(MaxLockAfter+1, false)
	ok(2*time.Hour, true)
	if s := m.Lockdown(); !s.On || s.Locked || s.In != 2*time.Hour || !m.ClaimOpen() {
		t.Errorf("%+v, claim %v", s, m.ClaimOpen())
	}
	ok(3*time.Hour, false) // it isn't put off
	ok(time.Hour, true)
	m.uptime += time.Hour
	if s := m.Lockdown(); !s.Locked || m.ClaimOpen() {
		t.Errorf("%+v, claim %v", s, m.ClaimOpen())
	}
	ok(time.Minute, false)
	ok(0, true) // it is already
}

func TestNoCAIsTrustedUnderLockdown(t *testing.T) {
	old, fresh := newCA(t, "ops"), newCA(t, "next")
	m := newMachine(t, Config{}, old)
	told := 0
	m.Watch(func() { told++ })
	if err := m.Trust(fresh.Certificate); err != nil || told != 1 {
		t.Fatalf("%v, told %d times", err, told)
	}
	if _, err := m.Identify(chain(user(t, fresh, "anna", Grant{Role: Admin})), now); err != nil {
		t.Errorf("its administrator: %v", err)
	}
	if err := m.Trust(user(t, old, "anna", Grant{Role: Admin})); err == nil {
		t.Error("a user's certificate is trusted as a CA")
	}
	if err := m.Distrust(fresh.Fingerprint()); err != nil {
		t.Fatal(err)
	}
	m.Lock(0)
	if err := m.Trust(fresh.Certificate); err != ErrLocked || len(m.CAs()) != 1 {
		t.Errorf("%v, %d CAs", err, len(m.CAs()))
	}
}

// TestACAsEndIsItsUsersEnd has a user whose certificate, signed by other tools, is valid for longer than his CA.
func TestACAsEndIsItsUsersEnd(t *testing.T) {
	ca := newCA(t, "ops")
	m := newMachine(t, Config{}, ca)
	anna := identity(t, m, ca, "anna", Operator)
	anna.NotAfter = ca.Certificate.NotAfter.Add(time.Hour)
	if err := m.Recheck(anna, ca.Certificate.NotAfter); err != nil {
		t.Error(err)
	}
	if err := m.Recheck(anna, ca.Certificate.NotAfter.Add(time.Second)); ReasonOf(err) != Expired {
		t.Errorf("%v", err)
	}
}
