package server

import (
	"context"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"time"

	"keel/vmkernel/api"
	"keel/vmkernel/api/backend"
	"keel/vmkernel/auth"
	"keel/vmkernel/seed"
)

func listVMs(c *call) (any, error) {
	list := c.s.VMs.List()
	out := api.VMs{VMs: make([]api.VMSummary, 0, len(list)), Scope: c.id.Scope}
	var now api.VM
	for _, v := range list {
		spec, _ := v.Spec()
		if !c.sees(spec.Labels) {
			continue
		}
		now = api.VM{}
		v.Status(&now)
		out.VMs = append(out.VMs, api.VMSummary{Name: spec.Name, ID: spec.ID, State: now.State, Since: now.Since, Reason: now.Reason,
			CPUs: spec.CPU.Count, Memory: spec.Memory.Size, Labels: spec.Labels})
	}
	return out, nil
}

// show is a VM as it is now, with its ETag in the answer's head.
func (c *call) show(v backend.VM) api.VM {
	spec, revision := v.Spec()
	out := api.VM{Spec: *spec}
	v.Status(&out)
	for _, port := range spec.Serial {
		p := v.Console(port.Name)
		if p == nil {
			continue
		}
		state := p.State()
		out.Serial = append(out.Serial, api.VMConsole{Port: port.Name, Holder: state.Holder, Since: state.Since.UTC(), Watchers: state.Watchers, End: state.End})
		if state.Holder == "" {
			out.Serial[len(out.Serial)-1].Since = time.Time{}
		}
	}
	c.tag(vmTag(revision))
	return out
}

// vmTag is the ETag of a VM's description.
func vmTag(revision uint64) string { return `"` + strconv.FormatUint(revision, 10) + `"` }

// decodeVM reads a VM's description as a seed has it, whose files are images.
func (c *call) decodeVM(text []byte) (*api.VMSpec, error) {
	root, err := seed.ParseJSON(text)
	if err != nil {
		return nil, ofSeed(err)
	}
	d := seed.Decoder{File: c.image, Pools: c.s.pools()}
	spec, problems := d.VM(root)
	if len(problems) > 0 {
		return nil, ofSeed(problems)
	}
	return &spec, nil
}

// image finds the image that a description names.
func (c *call) image(n *seed.Node) (string, int64, error) {
	info, err := c.s.Images.Find(n.Text)
	if err != nil {
		return "", 0, bare(err)
	}
	return n.Text, info.Size, nil
}

// bare is an error without its package's name, for the middle of a message.
func bare(err error) error {
	return failf(api.CodeInvalid, "%s", api.Bare(err.Error()))
}

// ofSeed is an error of package seed without the name of a file that nobody has sent.
func ofSeed(err error) *api.Error {
	var list []*seed.Error
	switch e := err.(type) {
	case *seed.Error:
		list = []*seed.Error{e}
	case seed.Problems:
		list = e
	default:
		return failf(api.CodeInvalid, "%s", err)
	}
	const most = 3
	out := &api.Error{Code: api.CodeInvalid}
	var said []string
	for _, e := range list[:min(most, len(list))] {
		if strings.HasPrefix(e.Msg, "unknown key") {
			out.Code = api.CodeUnknownField
		}
		if out.Details == nil && e.Path != "" {
			out.Details = map[string]string{"field": e.Path}
		}
		line := e.Msg
		if e.Path != "" {
			line = e.Path + ": " + line
		} else {
			line = "the request's body " + line
		}
		said = append(said, line)
	}
	if more := len(list) - most; more > 0 {
		said = append(said, "and "+strconv.Itoa(more)+" more")
	}
	out.Message = strings.Join(said, "; ")
	return out
}

// allowed says whether the caller may make a VM what these labels say.
func (c *call) allowed(labels map[string]string) error {
	if err := auth.Allow(*c.id, c.route.rule, labels); err != nil {
		return &api.Error{Code: api.CodeDenied, Message: c.id.Name + " is " + c.id.Grant.String() + ": the VM has to have these labels",
			Details: map[string]string{"scope": c.id.Grant.String(), "role": string(c.id.Role)}}
	}
	return nil
}

func createVM(c *call) (any, error) {
	spec := c.in.(*api.VMSpec)
	if err := c.allowed(spec.Labels); err != nil {
		return nil, err
	}
	v, created, err := c.s.VMs.Create(*spec)
	if err != nil {
		return nil, c.unnamed(err)
	}
	if now, _ := v.Spec(); !c.sees(now.Labels) { // it was changed since, out of the caller's sight
		return nil, failf(api.CodeExists, "the id %s belongs to another VM: give this one its own", spec.ID)
	}
	if !created {
		c.status = http.StatusOK
	}
	c.w.Header().Set("Location", "/v1/vms/"+spec.ID)
	return c.show(v), nil
}

// unnamed keeps an error about another VM from naming it to a caller who may not know of it.
func (c *call) unnamed(err error) error {
	if e := asError(err); e.Code == api.CodeExists && c.scoped() {
		return failf(api.CodeExists, "the name or the id belongs to another VM already: give this one its own")
	}
	return err
}

func getVM(c *call) (any, error) {
	v, err := c.find()
	if err != nil {
		return nil, err
	}
	return c.show(v), nil
}

func updateVM(c *call) (any, error) {
	v, err := c.find()
	if err != nil {
		return nil, err
	}
	spec := c.in.(*api.VMSpec)
	if err := c.allowed(spec.Labels); err != nil {
		return nil, err
	}
	old, revision := v.Spec()
	if err := c.match(vmTag(revision)); err != nil {
		return nil, err
	}
	if !c.sees(old.Labels) { // moved between find and here; Update holds on to the revision
		return nil, c.unknown()
	}
	if err := v.Update(*spec, revision); err != nil {
		return nil, c.unnamed(err)
	}
	if !maps.Equal(old.Labels, spec.Labels) {
		c.outcome = "labels changed"
	}
	return c.show(v), nil
}

func deleteVM(c *call) (any, error) {
	v, err := c.find()
	if err != nil {
		return nil, err
	}
	old, revision := v.Spec()
	if err := c.match(vmTag(revision)); err != nil {
		return nil, err
	}
	if !c.sees(old.Labels) { // moved between find and here; Delete holds on to the revision
		return nil, c.unknown()
	}
	if tag := c.r.Header.Get("If-Match"); (tag == "" || tag == "*") && !c.scoped() {
		revision = 0 // whatever it has become meanwhile
	}
	return nil, c.s.VMs.Delete(c.ctx(), v, revision, false)
}

// unknown says that there is no such VM that the caller may know of.
func (c *call) unknown() error {
	return failf(api.CodeNotFound, "there is no VM %s%s", quote(c.variable("vm")), c.among())
}

func getVMStats(c *call) (any, error) {
	v, err := c.find()
	if err != nil {
		return nil, err
	}
	return v.Stats(), nil
}

// longAct is an act on a VM that is an operation; doing says what it is doing then.
func longAct(kind string, act func(backend.VM, context.Context) error, doing func(c *call, v backend.VM) string) handler {
	return func(c *call) (any, error) {
		v, err := c.find()
		if err != nil {
			return nil, err
		}
		o, err := c.start(kind, v, doing(c, v), func(ctx context.Context, _ *operation) error { return act(v, ctx) })
		if err != nil {
			return nil, err
		}
		return c.accepted(o)
	}
}

func starting(*call, backend.VM) string { return "loading what it boots from" }
func ending(*call, backend.VM) string   { return "ending it" }

// shuttingDown says when a guest is ended that doesn't heed its power button.
func shuttingDown(c *call, v backend.VM) string {
	spec, _ := v.Spec()
	return "waiting for the guest, which is ended at " + c.s.Now().Add(time.Duration(spec.StopTimeout)).UTC().Format(time.RFC3339)
}

// quickAct is an act that is done when it returns.
func quickAct(act func(backend.VM) error) handler {
	return func(c *call) (any, error) {
		v, err := c.find()
		if err != nil {
			return nil, err
		}
		if err := act(v); err != nil {
			return nil, err
		}
		return c.show(v), nil
	}
}

// pauseTime is how long a VM's processors have to come to rest.
const pauseTime = 10 * time.Second

func pauseVM(c *call) (any, error) {
	return quickAct(func(v backend.VM) error {
		ctx, cancel := context.WithTimeout(c.s.ctx, pauseTime) // not the client's: half a pause helps nobody
		defer cancel()
		return v.Pause(ctx)
	})(c)
}
