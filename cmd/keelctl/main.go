package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"keel/cmd/keelctl/config"
	"keel/cmd/keelctl/exit"
	"keel/cmd/keelctl/manifest"
	"keel/cmd/keelctl/terminal"
	"keel/vmkernel/seed"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	go func() {
		<-ctx.Done()
		stop() // a second Ctrl-C ends the program at once
	}()
	a := &app{ctx: ctx, stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, getenv: os.Getenv, now: time.Now,
		terminal: terminal.Of(os.Stdin, os.Stdout, os.Stderr)}
	os.Exit(a.run(os.Args[1:]))
}

// app is one run of the command, with all that it has of the world around it.
type app struct {
	ctx            context.Context // ends by Ctrl-C
	stdin          io.Reader
	stdout, stderr io.Writer
	getenv         func(string) string
	now            func() time.Time
	newID          func() string // nil: random
	terminal       terminal.Terminal

	started bool // the command line was understood: what fails now is no usage error
	options options
	file    *config.File // config.yaml, once it was needed

	warnedOwn, warnedCA bool // of the end of one's own certificate, and of the CA's

	quiet bool // nothing is asked: into a half-typed line, or a picture
}

// run runs the command with these arguments and returns its exit code.
func (a *app) run(args []string) int {
	root := a.root()
	root.SetArgs(args)
	root.SetIn(a.stdin)
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	cmd, err := root.ExecuteContextC(a.ctx)
	switch {
	case err == nil:
		return exit.OK
	case !a.started:
		fmt.Fprintf(a.stderr, "keelctl: %v\nkeelctl: `%s --help` says how it is used\n", err, cmd.CommandPath())
		return exit.Usage
	}
	a.complain(err)
	return exit.Code(err)
}

// complain says what went wrong, a line a fault.
func (a *app) complain(err error) {
	var faults manifest.Errors
	if !errors.As(err, &faults) {
		faults = manifest.Errors{err}
	}
	for _, fault := range faults {
		// What names a line of a file stands alone, so that editors find it.
		if at := (*seed.Error)(nil); errors.As(fault, &at) && at.Pos != "" {
			fmt.Fprintln(a.stderr, fault)
		} else if errors.Is(fault, context.Canceled) && a.ctx.Err() != nil {
			fmt.Fprintln(a.stderr, "keelctl: interrupted")
		} else {
			fmt.Fprintf(a.stderr, "keelctl: %v\n", fault)
		}
	}
}

// note says on stderr what isn't an error.
func (a *app) note(format string, args ...any) {
	fmt.Fprintf(a.stderr, "keelctl: "+format+"\n", args...)
}
