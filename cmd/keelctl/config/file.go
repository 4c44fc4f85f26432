package config

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"keel/cmd/keelctl/exit"
)

// APIVersion is what a config.yaml begins with. Unknown keys are refused: a newer keelctl's file isn't cut down by an
// older one that saves it.
const APIVersion = "keelctl/v1"

// File is config.yaml.
type File struct {
	APIVersion string        `yaml:"apiVersion"`
	Current    string        `yaml:"current,omitempty"` // the context that is used if none is named
	Output     string        `yaml:"output,omitempty"`  // the default of --output
	Timeout    time.Duration `yaml:"timeout,omitempty"` // the default of --timeout
	Contexts   []*Context    `yaml:"contexts,omitempty"`

	path string
	was  []byte // the text that was read; nil: there was none
}

// Context is one set of hosts that trust one operator CA, and who the administrator is to them.
type Context struct {
	Name  string  `yaml:"name"`
	User  string  `yaml:"user,omitempty"` // the name in the certificate
	Host  string  `yaml:"host,omitempty"` // the host that is used if none is named
	Hosts []*Host `yaml:"hosts,omitempty"`

	dir string
}

// Host is a host of a context, and what it is recognised by.
type Host struct {
	Name        string `yaml:"name"`
	Address     string `yaml:"address"`            // host:port
	Fingerprint string `yaml:"fingerprint"`        // of its key: SHA256:...
	KeepsKey    bool   `yaml:"keepsKey,omitempty"` // its key survives a restart
}

var nameForm = regexp.MustCompile(`^[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?$`)

// CheckName says whether a context or a host can have this name.
func CheckName(what, name string) error {
	if !nameForm.MatchString(name) || strings.Contains(name, "..") {
		return exit.Errorf(exit.Usage, "%q can't be the name of a %s: give 1 to 63 of a-z, 0-9, - and .", name, what)
	}
	return nil
}

// Path returns where config.yaml is, by KEEL_CONFIG or XDG's rules.
func Path(getenv func(string) string) (string, error) {
	if path := getenv("KEEL_CONFIG"); path != "" {
		return path, nil
	}
	dir := getenv("XDG_CONFIG_HOME")
	if dir == "" && runtime.GOOS == "windows" {
		dir = getenv("AppData")
	}
	if dir == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", fmt.Errorf("can't find the configuration: %w: set KEEL_CONFIG", err)
		}
		dir = filepath.Join(home, ".config")
	}
	if !filepath.IsAbs(dir) {
		return "", fmt.Errorf("XDG_CONFIG_HOME is %s: it has to be an absolute path", dir)
	}
	return filepath.Join(dir, "keel", "config.yaml"), nil
}

// Load reads config.yaml. One that isn't there is empty.
func Load(path string) (*File, error) {
	f := &File{APIVersion: APIVersion, path: path}
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return f, nil
	}
	if err != nil {
		return nil, err
	}
	if err := checkWritable(path); err != nil {
		return nil, err
	}
	f.was = text
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	if err := d.Decode(f); err != nil {
		return nil, fmt.Errorf("%s: %s", path, strings.TrimPrefix(strings.ReplaceAll(err.Error(), "\n", " "), "yaml: "))
	}
	if f.APIVersion != APIVersion {
		return nil, fmt.Errorf("%s: apiVersion is %q; this keelctl understands %s", path, f.APIVersion, APIVersion)
	}
	for _, c := range f.Contexts {
		if err := f.checkContext(c); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
	}
	return f, nil
}

// checkContext says whether a context that was read can be one: its names become names of files.
func (f *File) checkContext(c *Context) error {
	if c == nil {
		return errors.New("a context is empty: remove it")
	}
	c.dir = filepath.Join(filepath.Dir(f.path), "contexts", c.Name)
	if err := CheckName("context", c.Name); err != nil {
		return err
	}
	for _, h := range c.Hosts {
		if h == nil {
			return fmt.Errorf("context %s: a host is empty: remove it", c.Name)
		}
		if err := CheckName("host", h.Name); err != nil {
			return fmt.Errorf("context %s: %w", c.Name, err)
		}
	}
	return nil
}

// Save writes config.yaml, unless it has changed since it was read.
func (f *File) Save() error {
	now, err := os.ReadFile(f.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		now = nil
	case err != nil:
		return err
	}
	if !bytes.Equal(now, f.was) {
		return exit.Errorf(exit.Conflict, "%s was changed by another keelctl meanwhile: try again", f.path)
	}
	var b bytes.Buffer
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	if err := e.Encode(f); err != nil {
		return err
	}
	if err := Write(f.path, b.Bytes()); err != nil {
		return err
	}
	f.was = b.Bytes()
	return nil
}

// Find returns the context of this name.
func (f *File) Find(name string) (*Context, error) {
	for _, c := range f.Contexts {
		if c.Name == name {
			return c, nil
		}
	}
	if len(f.Contexts) == 0 {
		return nil, exit.Errorf(exit.NotFound, "there is no context %q, nor any other: `keelctl init` makes one", name)
	}
	return nil, exit.Errorf(exit.NotFound, "there is no context %q; there are: %s", name, strings.Join(f.Names(), ", "))
}

// Names returns the names of the contexts.
func (f *File) Names() []string {
	var names []string
	for _, c := range f.Contexts {
		names = append(names, c.Name)
	}
	return names
}

// Add adds a context of this name, which must not be there yet.
func (f *File) Add(name string) (*Context, error) {
	if err := CheckName("context", name); err != nil {
		return nil, err
	}
	if slices.Contains(f.Names(), name) {
		return nil, exit.Errorf(exit.Conflict, "there is a context %s already: give another name, or `keelctl context delete %s`", name, name)
	}
	c := &Context{Name: name, dir: filepath.Join(filepath.Dir(f.path), "contexts", name)}
	f.Contexts = append(f.Contexts, c)
	if f.Current == "" {
		f.Current = name
	}
	return c, nil
}

// Delete removes a context from the file, and leaves its directory.
func (f *File) Delete(name string) {
	f.Contexts = slices.DeleteFunc(f.Contexts, func(c *Context) bool { return c.Name == name })
	if f.Current == name {
		f.Current = ""
	}
}

// Find returns the host of this name.
func (c *Context) Find(name string) (*Host, error) {
	for _, h := range c.Hosts {
		if h.Name == name {
			return h, nil
		}
	}
	if len(c.Hosts) == 0 {
		return nil, exit.Errorf(exit.NotFound, "context %s has no host %q, nor any other: `keelctl host add ADDRESS` adds one", c.Name, name)
	}
	return nil, exit.Errorf(exit.NotFound, "context %s has no host %q; it has: %s", c.Name, name, strings.Join(c.HostNames(), ", "))
}

// HostNames returns the names of the context's hosts.
func (c *Context) HostNames() []string {
	var names []string
	for _, h := range c.Hosts {
		names = append(names, h.Name)
	}
	return names
}

// Set adds a host, or replaces the one of its name. The first becomes the default.
func (c *Context) Set(h *Host) {
	if i := slices.Index(c.HostNames(), h.Name); i >= 0 {
		c.Hosts[i] = h
	} else {
		c.Hosts = append(c.Hosts, h)
	}
	if c.Host == "" {
		c.Host = h.Name
	}
}

// Remove removes a host with what is remembered of it.
func (c *Context) Remove(name string) {
	c.Hosts = slices.DeleteFunc(c.Hosts, func(h *Host) bool { return h.Name == name })
	if c.Host == name {
		c.Host = ""
		if len(c.Hosts) == 1 {
			c.Host = c.Hosts[0].Name
		}
	}
	os.Remove(c.TokenFile(name))
	os.Remove(c.CheckpointFile(name))
}

// The files of a context.
func (c *Context) Dir() string            { return c.dir }
func (c *Context) CAFile() string         { return filepath.Join(c.dir, "ca.pem") }
func (c *Context) CAKeyFile() string      { return filepath.Join(c.dir, "ca.key") }
func (c *Context) CertFile() string       { return filepath.Join(c.dir, "user.pem") }
func (c *Context) KeyFile() string        { return filepath.Join(c.dir, "user.key") }
func (c *Context) RequestFile() string    { return filepath.Join(c.dir, "request.csr") }
func (c *Context) RequestKeyFile() string { return filepath.Join(c.dir, "request.key") }
func (c *Context) IssuedFile() string     { return filepath.Join(c.dir, "issued.yaml") }

// TokenFile is where the token of a host is kept.
func (c *Context) TokenFile(host string) string { return filepath.Join(c.dir, "tokens", host) }

// CheckpointFile is where the last audit checkpoint of a host is kept.
func (c *Context) CheckpointFile(host string) string {
	return filepath.Join(c.dir, "checkpoints", host)
}
