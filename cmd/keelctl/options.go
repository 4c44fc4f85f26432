package main

import (
	"cmp"
	"crypto/x509"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"keel/cmd/keelctl/config"
	"keel/cmd/keelctl/exit"
	"keel/cmd/keelctl/output"
)

// How long things may take, unless --timeout says otherwise.
const (
	callTimeout = 30 * time.Second // a command that asks and is answered
	waitTimeout = 10 * time.Minute // one that waits for an operation's end
)

// options are the flags that several commands have. A command has those that mean something to it.
type options struct {
	config  string
	context string
	host    string
	output  string
	timeout time.Duration
	wait    bool

	timeoutGiven bool
}

const envAnnotation = "keel-env"

// env binds a flag to a variable of the environment.
func env(f *pflag.Flag, name string) {
	f.Usage += " [" + name + "]"
	f.Annotations = map[string][]string{envAnnotation: {name}}
}

// contextFlag is for commands that work in a context.
func (a *app) contextFlag(cmd *cobra.Command) {
	cmd.Flags().String("context", "", "the context (default: the current one)")
	env(cmd.Flags().Lookup("context"), "KEEL_CONTEXT")
	cmd.RegisterFlagCompletionFunc("context", a.completeContexts)
}

// remoteFlags is for commands that ask a host.
func (a *app) remoteFlags(cmd *cobra.Command) {
	a.contextFlag(cmd)
	cmd.Flags().StringP("host", "H", "", "the host, by the name it has in the context (default: the context's)")
	env(cmd.Flags().Lookup("host"), "KEEL_HOST")
	cmd.RegisterFlagCompletionFunc("host", a.completeHosts)
	a.timeoutFlag(cmd)
}

func (a *app) timeoutFlag(cmd *cobra.Command) {
	cmd.Flags().Duration("timeout", 0, "give up after this time, as 30s or 5m (default 30s)")
	env(cmd.Flags().Lookup("timeout"), "KEEL_TIMEOUT")
}

// timeoutDefault has the help of a command's --timeout, which it has already, say another default.
func timeoutDefault(cmd *cobra.Command, text string) {
	f := cmd.Flags().Lookup("timeout")
	f.Usage = strings.Replace(f.Usage, "(default 30s)", "(default "+text+")", 1)
}

// outputFlag is for commands that print something to compute with.
func (a *app) outputFlag(cmd *cobra.Command) {
	cmd.Flags().StringP("output", "o", "", "table, json or yaml (default table)")
	env(cmd.Flags().Lookup("output"), "KEEL_OUTPUT")
	cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(output.Formats, cobra.ShellCompDirectiveNoFileComp))
}

// waitFlag is for commands that begin an operation.
func (a *app) waitFlag(cmd *cobra.Command) {
	cmd.Flags().BoolP("wait", "w", false, "wait for the operation's end")
	env(cmd.Flags().Lookup("wait"), "KEEL_WAIT")
	timeoutDefault(cmd, "30s, with --wait 10m")
}

// fill reads a command's options: from its flags, and for those that weren't given from the environment.
func (o *options) fill(cmd *cobra.Command, getenv func(string) string) error {
	var err error
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		names := f.Annotations[envAnnotation]
		if len(names) == 0 || f.Changed || err != nil {
			return
		}
		if text := getenv(names[0]); text != "" {
			if bad := cmd.Flags().Set(f.Name, text); bad != nil {
				err = fmt.Errorf("%s is %q, which is not possible: %w", names[0], text, bad)
			}
		}
	})
	if err != nil {
		return err
	}
	own := func(name string) *pflag.Flag {
		if f := cmd.Flags().Lookup(name); f != nil && len(f.Annotations[envAnnotation]) > 0 {
			return f
		}
		return &pflag.Flag{Value: new(absent)}
	}
	o.config, o.context, o.host = own("config").Value.String(), own("context").Value.String(), own("host").Value.String()
	o.output = own("output").Value.String()
	o.wait = own("wait").Value.String() == "true"
	if f := own("timeout"); f.Changed {
		o.timeout, err = time.ParseDuration(f.Value.String())
		o.timeoutGiven = true
		if o.timeout <= 0 || err != nil {
			return fmt.Errorf("--timeout %s is not possible: give a time above 0, as 30s", f.Value)
		}
	}
	if o.output != "" {
		if _, err := output.ParseFormat(o.output); err != nil {
			return err
		}
	}
	return nil
}

// absent is the value of a flag that a command doesn't have.
type absent struct{}

func (*absent) String() string   { return "" }
func (*absent) Set(string) error { return nil }
func (*absent) Type() string     { return "" }

// configuration returns config.yaml.
func (a *app) configuration() (*config.File, error) {
	if a.file != nil {
		return a.file, nil
	}
	path := a.options.config
	if path == "" {
		var err error
		if path, err = config.Path(a.getenv); err != nil {
			return nil, err
		}
	}
	f, err := config.Load(path)
	if err != nil {
		return nil, err
	}
	a.file = f
	return f, nil
}

// context returns the context that was asked for.
func (a *app) context() (*config.Context, error) {
	f, err := a.configuration()
	if err != nil {
		return nil, err
	}
	name := a.options.context
	if name == "" {
		name = f.Current
	}
	switch {
	case name != "":
		return f.Find(name)
	case len(f.Contexts) == 1:
		return f.Contexts[0], nil
	case len(f.Contexts) == 0:
		return nil, exit.Errorf(exit.NotFound, "there is no context yet: `keelctl init` makes one, with your keys")
	}
	return nil, exit.Errorf(exit.NotFound, "no context is current: give --context, or choose one by `keelctl context use`")
}

// contextCA returns the context with the certificate of its operator CA.
func (a *app) contextCA() (*config.Context, *x509.Certificate, error) {
	c, err := a.context()
	if err != nil {
		return nil, nil, err
	}
	ca, err := readCertificate(c.CAFile())
	return c, ca, err
}

// target returns the context and the host that were asked for.
func (a *app) target() (*config.Context, *config.Host, error) {
	c, err := a.context()
	if err != nil {
		return nil, nil, err
	}
	name := a.options.host
	if name == "" {
		name = c.Host
	}
	if name == "" {
		if len(c.Hosts) > 0 {
			return nil, nil, exit.Errorf(exit.NotFound, "context %s has several hosts and none is the default: give --host", c.Name)
		}
		return nil, nil, exit.Errorf(exit.NotFound, "context %s has no host yet: `keelctl host add ADDRESS` adds one", c.Name)
	}
	h, err := c.Find(name)
	return c, h, err
}

// limit is how long the command may take: by the flag or the environment, by config.yaml, or normally.
func (a *app) limit(normal time.Duration) time.Duration {
	switch {
	case a.options.timeoutGiven:
		return a.options.timeout
	case a.file != nil && a.file.Timeout > 0:
		return a.file.Timeout
	}
	return normal
}

// format names the form of results: by the flag or the environment, by config.yaml, or a table.
func (a *app) format() string {
	name := a.options.output
	if name == "" && a.file != nil {
		name = a.file.Output
	}
	return cmp.Or(name, string(output.Table))
}

// computed says whether results are for programs.
func (a *app) computed() bool { return a.format() != string(output.Table) }

// printer writes results as was asked for.
func (a *app) printer() (*output.Printer, error) {
	format, err := output.ParseFormat(a.format())
	if err != nil {
		return nil, exit.With(exit.Usage, err)
	}
	return &output.Printer{W: a.stdout, Format: format, Color: a.colored()}, nil
}

// print is printer and Print.
func (a *app) print(v any, table func(*output.Rows)) error {
	p, err := a.printer()
	if err != nil {
		return err
	}
	return p.Print(v, table)
}

// colored says whether stdout is to have colours (https://no-color.org).
func (a *app) colored() bool {
	return a.terminal.Stdout() && a.getenv("NO_COLOR") == "" && a.getenv("TERM") != "dumb"
}
