package manifest

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"keel/vmkernel/seed"
)

// Errors are the faults of YAML files, most of them a *seed.Error that names its file and line.
type Errors []error

// Error returns a line for each fault.
func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i, err := range e {
		lines[i] = err.Error()
	}
	return strings.Join(lines, "\n")
}

// Set is what some YAML files say, complete and valid.
type Set struct {
	Document   seed.Document
	Unassigned []Unassigned
	NoHost     bool // no document of kind Host: the host has the defaults

	files   files
	written []*seed.Node // Document.VMs, as they were written
}

// Unassigned is a VM without an id in its YAML, for which one was made.
type Unassigned struct {
	VM, ID string
	Pos    string // the VM's document

	doc   document
	index int // of the document in its file, empty documents not counted
}

// Loader reads YAML files. The zero Loader is ready for use.
type Loader struct {
	Stdin io.Reader     // what the file name "-" stands for; its files are relative to the working directory
	NewID func() string // makes the ids of VMs that have none; the default is NewID

	// Running is set where the VMs are for a host that runs already: it has its own description, its pools are not
	// known here, and what is no file here is the name of an image there.
	Running bool
}

// NewID returns a random UUID (RFC 9562, version 4).
func NewID() string {
	var b [16]byte
	rand.Read(b[:]) // never fails
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// Load reads the YAML files of these names. An error of type Errors lists all that is wrong with them.
func (l *Loader) Load(names []string) (*Set, error) {
	set := &Set{
		Document: seed.Document{APIVersion: seed.APIVersion, Host: seed.DefaultHost()},
		NoHost:   !l.Running,
	}
	r := &run{Loader: l, set: set}
	r.decoder.Size, r.decoder.Percent = readSize, readPercent
	r.decoder.Text = func(n *seed.Node) (string, error) { return readText(r.dir, n.Text) }
	r.decoder.AnyPool = l.Running
	r.decoder.File = func(n *seed.Node) (string, int64, error) {
		if l.Running && !isFile(r.dir, n.Text) {
			return n.Text, 0, nil
		}
		return set.files.add(r.dir, n.Text)
	}
	var parts []part
	for _, name := range names {
		parts = append(parts, r.file(name)...)
	}
	// The host first, since VMs name its pools; what is wrong is still said in the order in which it was written.
	for _, host := range []bool{true, false} {
		for i := range parts {
			if p := &parts[i]; p.node != nil && p.host == host {
				r.errs = nil
				r.dir = p.source.dir
				r.document(p.document, p.index)
				p.errs = append(p.errs, r.errs...)
			}
		}
	}
	var errs Errors
	for _, p := range parts {
		errs = append(errs, p.errs...)
	}
	if len(errs) > 0 {
		return nil, errs
	}
	set.Document.Files = set.files.table
	return set, nil
}

// run is one call of Load.
type run struct {
	*Loader
	set     *Set
	decoder seed.Decoder
	errs    Errors // of the document that is being decoded
	dir     string // of its file
	hostPos string // of the document of kind Host
}

// part is a document that was read, or what is wrong with a file.
type part struct {
	document
	index int  // of the document in its file
	host  bool // it is of kind Host
	errs  Errors
}

// file reads the documents of a file.
func (r *run) file(name string) (parts []part) {
	s := &source{name: name, path: name, dir: filepath.Dir(name)}
	var err error
	if name == "-" && r.Stdin != nil {
		s.name, s.path, s.dir = "standard input", "", "."
		s.text, err = io.ReadAll(r.Stdin)
	} else {
		s.text, err = os.ReadFile(name)
	}
	if err != nil {
		return []part{{errs: Errors{err}}}
	}
	docs, errs := s.parse()
	if len(docs) == 0 && len(errs) == 0 {
		errs = Errors{&seed.Error{Pos: s.pos(1), Msg: "has no document: give one of kind Host or VM"}}
	}
	parts = append(parts, part{errs: errs})
	for i, d := range docs {
		kind := d.node.Get("kind")
		parts = append(parts, part{document: d, index: i, host: kind != nil && kind.Text == "Host"})
	}
	return parts
}

// document decodes one document into the set.
func (r *run) document(d document, index int) {
	n := d.node
	if n.Kind != seed.Object {
		r.fail(n, "is %s, not a document of kind Host or VM", n.Kind)
		return
	}
	version, kind := take(n, "apiVersion"), take(n, "kind")
	switch {
	case version == nil:
		r.fail(&seed.Node{Pos: n.Pos, Path: "apiVersion"}, "is missing: give %s", seed.APIVersion)
	case version.Text != seed.APIVersion:
		r.fail(version, "%q is not possible; give %s", version.Text, seed.APIVersion)
	}
	switch {
	case kind == nil:
		r.fail(&seed.Node{Pos: n.Pos, Path: "kind"}, "is missing: give Host or VM")
	case kind.Text == "Host" && r.Running:
		r.fail(kind, "the host runs already, by its own seed: give documents of kind VM alone")
	case kind.Text == "Host":
		r.host(n)
	case kind.Text == "VM":
		r.vm(d, index)
	default:
		r.fail(kind, "%q is not possible; give Host or VM", kind.Text)
	}
}

func (r *run) fail(n *seed.Node, format string, args ...any) {
	r.errs = append(r.errs, &seed.Error{Pos: n.Pos, Path: n.Path, Msg: fmt.Sprintf(format, args...)})
}

func (r *run) problems(p seed.Problems) {
	for _, err := range p {
		r.errs = append(r.errs, err)
	}
}

func (r *run) host(n *seed.Node) {
	if r.hostPos != "" {
		r.fail(n, "there is a Host already (%s): a seed is for one", r.hostPos)
		return
	}
	r.hostPos = n.Pos
	host, problems := r.decoder.Host(n)
	r.problems(problems)
	r.set.Document.Host, r.set.NoHost = host, false
}

func (r *run) vm(d document, index int) {
	n := d.node
	if len(r.set.Document.VMs) == seed.MaxVMs {
		r.fail(n, "is one VM too many: a seed holds at most %d", seed.MaxVMs)
		return
	}
	nest(n)
	id := ""
	if n.Get("id") == nil {
		newID := r.NewID
		if newID == nil {
			newID = NewID
		}
		id = newID()
		put(n, "id", &seed.Node{Kind: seed.String, Pos: n.Pos, Path: "id", Text: id})
	}
	vm, problems := r.decoder.VM(n)
	r.problems(problems)
	r.set.Document.VMs = append(r.set.Document.VMs, vm)
	r.set.written = append(r.set.written, n)
	if id != "" {
		r.set.Unassigned = append(r.set.Unassigned, Unassigned{VM: vm.Name, ID: id, Pos: n.Pos, doc: d, index: index})
	}
}

// nest turns the short form `boot: {kernel, initrd, cmdline, modules}` into `boot: {direct: {...}}`. What mixes the two
// is left for the decoder to refuse. Positions and paths stay those that were written.
func nest(vm *seed.Node) {
	boot := vm.Get("boot")
	if boot == nil || boot.Kind != seed.Object || boot.Get("direct") != nil {
		return
	}
	direct := &seed.Node{Kind: seed.Object, Pos: boot.Pos, Path: boot.Path}
	for _, key := range []string{"kernel", "initrd", "cmdline", "modules"} {
		if n := take(boot, key); n != nil {
			put(direct, key, n)
		}
	}
	put(boot, "direct", direct)
}

// take removes a key of an Object and returns its value, or nil.
func take(n *seed.Node, key string) *seed.Node {
	for i, k := range n.Keys {
		if k == key {
			value := n.Items[i]
			n.Keys = append(n.Keys[:i:i], n.Keys[i+1:]...)
			n.Items = append(n.Items[:i:i], n.Items[i+1:]...)
			return value
		}
	}
	return nil
}

func put(n *seed.Node, key string, value *seed.Node) {
	n.Keys = append(n.Keys, key)
	n.Items = append(n.Items, value)
}

// Path returns where the file is that Document.Files has by this name.
func (s *Set) Path(name string) string { return s.files.paths[name] }

// Build returns the seed, as read back by the kernel's own reader.
func (s *Set) Build() ([]byte, error) {
	var b bytes.Buffer
	if err := seed.Write(&b, &s.Document, s.files.open); err != nil {
		return nil, err
	}
	read, err := seed.Parse(b.Bytes())
	if err != nil {
		return nil, err
	}
	if len(read.Refused) > 0 {
		return nil, read.Refused[0]
	}
	return b.Bytes(), nil
}
