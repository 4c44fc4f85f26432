package server

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"keel/vmkernel/api"
	"keel/vmkernel/api/backend"
	"keel/vmkernel/auth"
)

func getVersion(c *call) (any, error) {
	s := c.s
	return api.Version{Version: s.Version, Build: s.Build, API: "v1", Host: s.Name,
		You: api.Caller{Name: c.id.Name, Role: string(c.id.Role), Scope: c.id.Scope, NotAfter: c.id.NotAfter.UTC()}}, nil
}

func getOpenAPI(c *call) (any, error) {
	return nil, c.raw(mediaJSON, api.OpenAPI)
}

// raw answers with bytes.
func (c *call) raw(media []string, text []byte) error {
	h := c.w.Header()
	h["Content-Type"] = media
	h["Content-Length"] = []string{strconv.Itoa(len(text))}
	c.began = true
	if _, err := c.w.Write(text); err != nil {
		return errGone
	}
	return nil
}

func getHost(c *call) (any, error) {
	h := c.s.info()
	if c.scoped() { // how many others there are is none of his business, nor what has happened to them
		var his []string
		for _, p := range h.Health.Problems {
			if !strings.HasPrefix(p, backend.LastError) && !slices.Contains(h.Seed.Others, p) {
				his = append(his, p)
			}
		}
		h.Health.Problems, h.Health.State, h.Seed.Others = his, stateOf(his), nil
		h.Resources.VMs, h.Resources.VMsRunning, h.Resources.Exclusive = 0, 0, nil
		for _, v := range c.s.VMs.List() {
			if spec, _ := v.Spec(); c.sees(spec.Labels) {
				var now api.VM
				v.Status(&now)
				countVM(&h.Resources, spec.Name, &now)
			}
		}
		sortExclusive(&h.Resources)
	}
	return h, nil
}

// info is what there is to say of the host.
func (s *Server) info() api.Host {
	h := s.Host.Info()
	h.Name, h.Version, h.Boot = s.Name, s.Version, s.Audit.Boot()
	usage := s.Images.Usage()
	h.Resources.ImagesUsed, h.Resources.ImagesFree = uint64(usage.Used), uint64(max(usage.Capacity-usage.Used, 0))
	var now api.VM
	for _, v := range s.VMs.List() {
		spec, _ := v.Spec()
		now = api.VM{}
		v.Status(&now)
		countVM(&h.Resources, spec.Name, &now)
	}
	sortExclusive(&h.Resources)
	if f := s.Audit.Forwarding(); f.Err != nil {
		h.Health.Problems = append(h.Health.Problems, "the audit log's collector doesn't take records: "+f.Err.Error())
	}
	for _, ca := range s.Trust.CAs() {
		if end := auth.End(ca, s.Now()); end != "" {
			h.Health.Problems = append(h.Health.Problems, fmt.Sprintf("the operator CA %q %s, and nobody of it comes in after that: "+
				"give the host another (`keelctl trust ca add`), and its seed", ca.Subject.CommonName, end))
		}
	}
	if s.Trust.Lockdown().Full {
		h.Health.Problems = append(h.Health.Problems, fmt.Sprintf("the host remembers the keys of %d administrators, and another has come in since: "+
			"he won't once it is locked down, but after a restart with a seed that lists him (trust.lockdown.administrators)", auth.MaxAdmins))
	}
	h.Health.State = stateOf(h.Health.Problems)
	return h
}

func stateOf(problems []string) string {
	if len(problems) > 0 {
		return "warning"
	}
	return "ok"
}

// stopHost is the host's shutdown or restart.
func stopHost(kind string, restart bool) handler {
	return func(c *call) (any, error) {
		force := c.in.(*api.HostStop).Force
		o, err := c.start(kind, nil, "stopping VMs", func(ctx context.Context, o *operation) error {
			return c.s.Host.Stop(ctx, restart, force, o.progress)
		})
		if err != nil {
			return nil, err
		}
		c.s.hostEvent(kind, o.ID, map[string]string{"by": c.id.Name})
		return c.accepted(o)
	}
}

// tagOf is the ETag of what has no revision.
func tagOf(v any) string {
	text, _ := json.Marshal(v)
	sum := sha256.Sum256(text)
	return `"` + hex.EncodeToString(sum[:8]) + `"`
}

func getTime(c *call) (any, error) {
	t := c.s.Host.Time()
	c.tag(tagOf(t.Servers))
	return t, nil
}

func setTime(c *call) (any, error) {
	in := c.in.(*api.HostTimeSet)
	if in.Now == nil && in.Servers == nil {
		return nil, failf(api.CodeInvalid, "neither now nor servers is given")
	}
	c.s.changing.Lock()
	defer c.s.changing.Unlock()
	if err := c.match(tagOf(c.s.Host.Time().Servers)); err != nil {
		return nil, err
	}
	if in.Now != nil {
		if end := c.s.Trust.EndOf(*c.id); in.Now.After(end) {
			return nil, failf(api.CodeInvalid, "now: your certificate, or its operator CA, ends at %s: at %s you couldn't come in to set it right",
				stamp(end), stamp(*in.Now))
		}
	}
	if err := c.s.Host.SetTime(*in); err != nil {
		return nil, err
	}
	c.s.hostEvent("host.time", "", map[string]string{"by": c.id.Name})
	return getTime(c)
}

func getNetwork(c *call) (any, error) {
	n := c.s.Host.Network()
	c.tag(tagOf(n.Config))
	return n, nil
}

func setNetwork(c *call) (any, error) {
	in := c.in.(*api.NetworkConfig)
	c.s.changing.Lock()
	defer c.s.changing.Unlock()
	if err := c.match(tagOf(c.s.Host.Network().Config)); err != nil {
		return nil, err
	}
	if err := c.s.Host.SetNetwork(*in); err != nil {
		return nil, err
	}
	c.s.hostEvent("host.network", "", map[string]string{"by": c.id.Name, "state": "pending"})
	return getNetwork(c)
}

func confirmNetwork(c *call) (any, error) {
	if err := c.s.Host.ConfirmNetwork(); err != nil {
		return nil, err
	}
	c.s.hostEvent("host.network", "", map[string]string{"by": c.id.Name, "state": "confirmed"})
	return getNetwork(c)
}

// looked is when this program began to look at worlds.
var looked = time.Now()

func listWorlds(c *call) (any, error) {
	at := time.Since(looked) + 1
	worlds := c.s.Host.Worlds()
	if worlds == nil {
		worlds = []api.World{}
	}
	return api.Worlds{At: uint64(at), Worlds: worlds}, nil
}

// countVM adds what a VM takes. Afterwards sortExclusive is called.
func countVM(r *api.HostResources, name string, v *api.VM) {
	r.VMs++
	if v.State != api.Stopped {
		r.VMsRunning++
	}
	for _, c := range v.Alone {
		r.Exclusive = append(r.Exclusive, api.ExclusiveCPU{CPU: c, VM: name})
	}
}

func sortExclusive(r *api.HostResources) {
	slices.SortFunc(r.Exclusive, func(x, y api.ExclusiveCPU) int { return x.CPU - y.CPU })
}
