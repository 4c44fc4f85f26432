package auth

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"
)

var (
	hostKey = Fingerprint("SHA256:" + strings.Repeat("h", 42) + "w")
	from    = netip.MustParseAddr("192.0.2.1")
)

// claimBy makes the claim of who has read code.
func claimBy(t testing.TB, code string, ca *CA) ClaimRequest {
	t.Helper()
	return must[ClaimRequest](t)(NewClaim(code, hostKey, ca.Certificate, now))
}

func TestAHostThatTrustsNobodyCanBeClaimedOnce(t *testing.T) {
	m := newMachine(t, Config{})
	ca := newCA(t, "ops")
	m.uptime = 1000 * time.Hour // it waits for as long as it takes
	state := m.ClaimState()
	if !state.Open || state.Ends != 0 {
		t.Fatalf("%+v", state)
	}
	told := 0
	m.Watch(func() { told++ })
	r := claimBy(t, strings.ToLower(state.Code), ca)
	got, answer, err := m.Claim(r, hostKey, from)
	if err != nil || !got.Equal(ca.Certificate) || told != 1 || m.ClaimOpen() || len(m.CAs()) != 1 {
		t.Fatalf("%v, told %d times, open %v", err, told, m.ClaimOpen())
	}
	if err := r.CheckAnswer(state.Code, hostKey, answer); err != nil {
		t.Error(err)
	}
	for _, bad := range []struct {
		code string
		key  Fingerprint
		a    ClaimAnswer
	}{
		{newCode(), hostKey, answer}, {state.Code, ca.Fingerprint(), answer}, {state.Code, hostKey, ClaimAnswer{r.Proof}}, {state.Code, hostKey, ClaimAnswer{}},
	} {
		if r.CheckAnswer(bad.code, bad.key, bad.a) == nil {
			t.Errorf("the answer %+v was believed", bad)
		}
	}
	if _, _, err := m.Claim(r, hostKey, from); !errors.Is(err, ErrNoClaim) {
		t.Errorf("again: %v", err)
	}
	if _, err := m.Identify(chain(user(t, ca, "anna", Grant{Role: Admin})), now); err != nil {
		t.Errorf("its administrator: %v", err)
	}
}

// TestAClaimIsForOneHostAndOneCA has someone in between change what he can see.
func TestAClaimIsForOneHostAndOneCA(t *testing.T) {
	m := newMachine(t, Config{})
	ca, other := newCA(t, "ops"), newCA(t, "ops")
	good := claimBy(t, m.ClaimState().Code, ca)
	for name, change := range map[string]func(*ClaimRequest) Fingerprint{
		"another host": func(*ClaimRequest) Fingerprint { return other.Fingerprint() },
		"another CA":   func(r *ClaimRequest) Fingerprint { r.CA = string(other.CertificatePEM()); return hostKey },
		"another time": func(r *ClaimRequest) Fingerprint { r.Time = r.Time.Add(time.Second); return hostKey },
		"the nonce":    func(r *ClaimRequest) Fingerprint { r.Nonce = NewNonce(); return hostKey },
		"no proof":     func(r *ClaimRequest) Fingerprint { r.Proof = ""; return hostKey },
	} {
		r := good
		key := change(&r)
		if _, _, err := m.Claim(r, key, netip.Addr{}); !errors.Is(err, ErrCode) {
			t.Errorf("%s: %v", name, err)
		}
		m.uptime += time.Hour
	}
	if _, _, err := m.Claim(claimBy(t, newCode(), ca), hostKey, from); !errors.Is(err, ErrCode) {
		t.Errorf("another code: %v", err)
	}
	// It travels as JSON.
	text, err := json.Marshal(good)
	if err != nil {
		t.Fatal(err)
	}
	var r ClaimRequest
	if err := json.Unmarshal(text, &r); err != nil {
		t.Fatal(err)
	}
	if _, _, err := m.Claim(r, hostKey, from); err != nil {
		t.Errorf("the good one: %v", err)
	}
}

func TestAClaimOfWhatIsNoCALeavesItOpen(t *testing.T) {
	m := newMachine(t, Config{})
	ca := newCA(t, "ops")
	code := m.ClaimState().Code
	anna := user(t, ca, "anna", Grant{Role: Admin})
	for _, r := range []ClaimRequest{
		must[ClaimRequest](t)(NewClaim(code, hostKey, anna, now)),
		must[ClaimRequest](t)(NewClaim(code, hostKey, ca.Certificate, now.Add(2*CALife))),
	} {
		if _, _, err := m.Claim(r, hostKey, from); err == nil || errors.Is(err, ErrCode) {
			t.Errorf("%v", err)
		}
	}
	if _, _, err := m.Claim(claimBy(t, code, ca), hostKey, from); err != nil {
		t.Error(err)
	}
}

func TestGuessingACodeIsSlowed(t *testing.T) {
	m := newMachine(t, Config{})
	ca := newCA(t, "ops")
	wrong, right := claimBy(t, newCode(), ca), claimBy(t, m.ClaimState().Code, ca)
	looked := func(from string) bool {
		t.Helper()
		_, _, err := m.Claim(wrong, hostKey, netip.MustParseAddr(from))
		var many ErrTooMany
		if !errors.Is(err, ErrCode) && !errors.As(err, &many) {
			t.Fatal(err)
		}
		if many.Wait > triesEvery {
			t.Errorf("waits for %s", many.Wait)
		}
		return errors.Is(err, ErrCode)
	}
	for range triesFree {
		if !looked("192.0.2.7") {
			t.Error("a first try was not looked at")
		}
	}
	if looked("192.0.2.7") || looked("::ffff:192.0.2.7") {
		t.Error("one try more was looked at")
	}
	if !looked("192.0.2.8") {
		t.Error("another source's was not")
	}
	m.uptime += triesEvery
	if !looked("192.0.2.7") || looked("192.0.2.7") {
		t.Error("after a while one more should be, and no second")
	}
	for range triesFree {
		looked("2001:db8::1")
	}
	if looked("2001:db8::2") || !looked("2001:db8:0:1::1") {
		t.Error("an IPv6 source is its /64")
	}
	// From everywhere: bounded in number and in memory.
	tries := 0
	for i := range 2 * totalFree {
		if looked(netip.AddrFrom4([4]byte{198, byte(i >> 16), byte(i >> 8), byte(i)}).String()) {
			tries++
		}
	}
	if tries > totalFree {
		t.Errorf("%d tries at once", tries)
	}
	if n := len(m.claim.limit.sources); n > maxSources {
		t.Errorf("%d sources are remembered", n)
	}
	m.uptime += totalEvery
	if _, _, err := m.Claim(right, hostKey, from); err != nil {
		t.Errorf("the right one: %v", err)
	}
}

// TestWrongCodesDoNotShutTheRightOneOut has strangers try as often as the door lets them, one of them behind the same address
// as the administrator.
func TestWrongCodesDoNotShutTheRightOneOut(t *testing.T) {
	m := newMachine(t, Config{})
	ca := newCA(t, "ops")
	wrong, right := claimBy(t, newCode(), ca), claimBy(t, m.ClaimState().Code, ca)
	const perSecond = 50 * MaxTries // the door's handshakes, see door.Limits
	for i := range 60 * perSecond {
		source := from
		if i%2 == 1 {
			source = netip.AddrFrom4([4]byte{198, byte(i >> 16), byte(i >> 8), byte(i)})
		}
		m.Claim(wrong, hostKey, source)
		m.uptime += time.Second / perSecond
	}
	if wait := m.claim.limit.sources[source(from)].wait(m.uptime, triesEvery, triesFree); wait > triesEvery {
		t.Errorf("a source is told to wait for %s", wait)
	}
	if _, _, err := m.Claim(right, hostKey, from); err != nil {
		t.Errorf("the right one: %v", err)
	}
}

func TestRecoverAccessOpensOneClaimFor15Minutes(t *testing.T) {
	old, lost := newCA(t, "ops"), newCA(t, "new")
	locked := Lockdown{On: true, Administrators: []Fingerprint{hostKey}}
	m := newMachine(t, Config{Recover: true, Lockdown: locked}, old)
	state := m.ClaimState()
	if !state.Open || state.Ends != RecoverWindow {
		t.Fatalf("%+v", state)
	}
	m.Lock(0)
	const late = 2 * RecoverWindow // of the network
	m.uptime = late
	if s := m.ClaimState(); !s.Open || s.Ends != RecoverWindow {
		t.Errorf("before the door was open: %+v", s)
	}
	m.Listening()
	m.uptime = late + RecoverWindow - 1
	m.Listening() // which puts nothing off
	if !m.ClaimOpen() {
		t.Error("lockdown has closed it")
	}
	m.uptime = late + RecoverWindow
	if _, _, err := m.Claim(claimBy(t, state.Code, lost), hostKey, from); !errors.Is(err, ErrNoClaim) {
		t.Errorf("after it was over: %v", err)
	}

	m = newMachine(t, Config{Recover: true, Lockdown: locked}, old)
	if _, _, err := m.Claim(claimBy(t, m.ClaimState().Code, lost), hostKey, from); err != nil {
		t.Fatal(err)
	}
	if m.ClaimOpen() {
		t.Error("still open")
	}
	if _, err := m.Identify(chain(user(t, lost, "anna", Grant{Role: Admin})), now); err != nil {
		t.Errorf("an administrator of the CA that was claimed in front of the machine: %v", err)
	}
	if _, err := m.Identify(chain(user(t, old, "anna", Grant{Role: Admin})), now); ReasonOf(err) != LockedDown {
		t.Errorf("one of the other CA: %v", err)
	}
}

// TestRecoverAccessReplacesALostAdministratorsKey claims the CA that the host trusts already: a new administrator of it comes
// in then, whom lockdown wouldn't let in.
func TestRecoverAccessReplacesALostAdministratorsKey(t *testing.T) {
	ca := newCA(t, "ops")
	lost := identity(t, newMachine(t, Config{}, ca), ca, "anna", Admin)
	m := newMachine(t, Config{Recover: true, Lockdown: Lockdown{On: true, Administrators: []Fingerprint{lost.Key}}}, ca)
	again := identity(t, m, ca, "anna", Admin)
	if r := m.comes(again); r != LockedDown {
		t.Fatalf("before the claim: %q", r)
	}
	if _, _, err := m.Claim(claimBy(t, m.ClaimState().Code, ca), hostKey, from); err != nil {
		t.Fatal(err)
	}
	if r := m.comes(again); r != "" || len(m.CAs()) != 1 {
		t.Errorf("after it: %q, %d CAs", r, len(m.CAs()))
	}
}

// TestRecoverAccessReplacesAnExpiredCA claims the same CA, renewed, whose administrators then come in again.
func TestRecoverAccessReplacesAnExpiredCA(t *testing.T) {
	old := newCA(t, "ops")
	anna, key := userWithKey(t, old, "anna", Grant{Role: Admin})
	later := now.Add(CALife + time.Hour)
	m := newMachine(t, Config{Recover: true}, old)
	m.time = later
	if _, err := m.Identify(chain(anna), later); ReasonOf(err) != Expired {
		t.Fatalf("%v", err)
	}
	fresh := must[*CA](t)(NewCA("ops", later))
	r := must[ClaimRequest](t)(NewClaim(m.ClaimState().Code, hostKey, fresh.Certificate, later))
	if _, _, err := m.Claim(r, hostKey, from); err != nil {
		t.Fatal(err)
	}
	request := must[*Request](t)(ParseRequest(must[[]byte](t)(NewRequest(key, "anna"))))
	again := must[*x509Certificate](t)(fresh.Sign(request, Grant{Role: Admin}, 0, later))
	if _, err := m.Identify(chain(again), later); err != nil {
		t.Error(err)
	}
}

func TestAHostThatTrustsSomebodyOffersNoClaim(t *testing.T) {
	for _, m := range []*machine{
		newMachine(t, Config{}, newCA(t, "ops")),
		newMachine(t, Config{Lockdown: Lockdown{On: true}}),
	} {
		if m.ClaimOpen() || m.ClaimState().Code != "" {
			t.Errorf("%+v", m.ClaimState())
		}
		if _, _, err := m.Claim(claimBy(t, newCode(), newCA(t, "x")), hostKey, from); !errors.Is(err, ErrNoClaim) {
			t.Errorf("%v", err)
		}
	}
	m := newMachine(t, Config{Lockdown: Lockdown{On: true, After: time.Hour}})
	if !m.ClaimOpen() {
		t.Error("not open before lockdown")
	}
	if m.uptime = time.Hour; m.ClaimOpen() {
		t.Error("open after lockdown")
	}
}

func TestACodeIsReadAsPeopleTypeIt(t *testing.T) {
	for typed, want := range map[string]string{
		"7K3M-9QRT-4XWB-D2HN":      "7K3M-9QRT-4XWB-D2HN",
		" 7k3m 9qrt4xwb--d2hn ":    "7K3M-9QRT-4XWB-D2HN",
		"OIL0-oil0-OIL0-oil0":      "0110-0110-0110-0110",
		"7K3M-9QRT-4XWB-D2H":       "",
		"7K3M-9QRT-4XWB-D2HNN":     "",
		"7K3M-9QRT-4XWB-D2HU":      "",
		"7K3M-9QRT-4XWB-D2H\u0130": "",
		"":                         "",
	} {
		got, err := ParseCode(typed)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v", typed, got, err)
		}
	}
	seen := map[string]bool{}
	for range 1000 {
		c := newCode()
		if again, err := ParseCode(c); err != nil || again != c || seen[c] {
			t.Fatalf("%q: %q, %v", c, again, err)
		}
		seen[c] = true
	}
}

func TestTheTokenProvesTheHost(t *testing.T) {
	token := NewToken()
	if err := CheckToken(token); err != nil {
		t.Fatal(err)
	}
	m := newMachine(t, Config{Token: token})
	nonce := NewNonce()
	proof := must[string](t)(m.Prove(hostKey, nonce))
	if err := CheckProof(token, hostKey, nonce, proof); err != nil {
		t.Error(err)
	}
	other := newCA(t, "x").Fingerprint()
	for name, err := range map[string]error{
		"another token": CheckProof(NewToken(), hostKey, nonce, proof),
		"another key":   CheckProof(token, other, nonce, proof),
		"another nonce": CheckProof(token, hostKey, NewNonce(), proof),
		"none":          CheckProof(token, hostKey, nonce, ""),
	} {
		if err == nil || strings.Contains(err.Error(), token) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, bad := range []string{"", "x", nonce + "A", nonce[:42], strings.Repeat("\n", 43), nonce[:42] + "\n"} {
		if _, err := m.Prove(hostKey, bad); err == nil {
			t.Errorf("the nonce %q was taken", bad)
		}
	}
	if _, err := newMachine(t, Config{}).Prove(hostKey, nonce); err == nil {
		t.Error("a proof without a token")
	}
}

// FuzzClaim promises that no claim from the network opens a host, nor panics, and that its error is one line.
func FuzzClaim(f *testing.F) {
	m := newMachine(f, Config{})
	good := claimBy(f, newCode(), newCA(f, "ops"))
	text, _ := json.Marshal(good)
	f.Add(text)
	f.Fuzz(func(t *testing.T, body []byte) {
		var r ClaimRequest
		if json.NewDecoder(bytes.NewReader(body)).Decode(&r) != nil {
			return
		}
		m.uptime += time.Hour
		if _, _, err := m.Claim(r, hostKey, from); err == nil || strings.ContainsAny(err.Error(), "\n\x1b") || !m.ClaimOpen() {
			t.Errorf("%q: %v", body, err)
		}
		// And what is looked at after the code was right.
		r.Proof = r.proof(m.claim.code, proofClaim, hostKey)
		if _, _, err := m.Claim(r, hostKey, from); err != nil && strings.ContainsAny(err.Error(), "\n\x1b") {
			t.Errorf("%q: %q", body, err)
		} else if err == nil {
			m = newMachine(t, Config{})
		}
	})
}
