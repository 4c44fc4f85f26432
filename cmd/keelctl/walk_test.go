package main

import (
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// walk calls f for every command with its arguments.
func walk(cmd *cobra.Command, path []string, f func(cmd *cobra.Command, path []string)) {
	f(cmd, path)
	for _, sub := range cmd.Commands() {
		if sub.Name() != "help" {
			walk(sub, append(path[:len(path):len(path)], sub.Name()), f)
		}
	}
}

func tree() *cobra.Command {
	a := &app{getenv: func(string) string { return "" }, now: time.Now, terminal: fakeTerminal(false)}
	return a.root()
}

func TestEveryCommandSaysWhatItIsForAndHowItIsUsed(t *testing.T) {
	n := 0
	walk(tree(), nil, func(cmd *cobra.Command, path []string) {
		n++
		name := cmd.CommandPath()
		if cmd.Short == "" || strings.HasSuffix(cmd.Short, ".") || len(cmd.Short) > 72 || strings.Contains(cmd.Short, "\n") {
			t.Errorf("%s: its summary is no one line of at most 72 characters without a full stop: %q", name, cmd.Short)
		}
		if len(cmd.Long) <= len(cmd.Short) {
			t.Errorf("%s: its help says no more than its summary", name)
		}
		if !cmd.Runnable() { // a topic
			return
		}
		if !strings.Contains(cmd.Example, "keelctl ") {
			t.Errorf("%s: has no example", name)
		}
		if strings.Contains(cmd.Example, "\t") || !strings.HasPrefix(cmd.Example, "  ") {
			t.Errorf("%s: its example isn't indented by two spaces", name)
		}
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			if f.Usage == "" || strings.HasSuffix(f.Usage, ".") {
				t.Errorf("%s: --%s says what it is for in no way: %q", name, f.Name, f.Usage)
			}
		})
		if !cmd.HasSubCommands() && cmd.Flags().Lookup("host") != nil && cmd.Name() != "query" &&
			!strings.Contains(cmd.Long, "role") && !strings.Contains(cmd.Long, "asks no host") && !strings.Contains(cmd.Long, "takes you for") {
			t.Errorf("%s: its help doesn't say which role it needs", name)
		}
		s := session{env: map[string]string{"KEEL_CONFIG": "none"}}
		if r := s.run(append(path[:len(path):len(path)], "--help")...); r.code != 0 || r.errout != "" || !strings.Contains(r.out, "Usage:") {
			t.Errorf("%s --help: %+v", name, r)
		}
	})
	if n < 60 {
		t.Errorf("only %d commands were looked at", n)
	}
}

func TestExamplesAreCommandsThatExist(t *testing.T) {
	root := tree()
	walk(root, nil, func(cmd *cobra.Command, _ []string) {
		for line := range strings.SplitSeq(cmd.Example, "\n") {
			_, rest, ok := strings.Cut(line, "keelctl ")
			if !ok {
				continue
			}
			rest, _, _ = strings.Cut(rest, "|")
			rest, _, _ = strings.Cut(rest, "&&")
			args := strings.Fields(rest)
			found, left, err := root.Find(args)
			if err != nil || found == root {
				t.Errorf("%s: %q is no command", cmd.CommandPath(), line)
				continue
			}
			for _, arg := range left {
				name, isFlag := strings.CutPrefix(arg, "--")
				name, _, _ = strings.Cut(strings.TrimSuffix(name, ")"), "=")
				if isFlag && found.Flags().Lookup(name) == nil && found.InheritedFlags().Lookup(name) == nil {
					t.Errorf("%s: %q: %s has no flag --%s", cmd.CommandPath(), line, found.CommandPath(), name)
				}
			}
		}
	})
}

func TestWrongUsageOfEveryCommandIsExitCode2(t *testing.T) {
	walk(tree(), nil, func(cmd *cobra.Command, path []string) {
		if !cmd.Runnable() {
			return
		}
		wrong := [][]string{{"--no-such-flag"}}
		if cmd.Args != nil && cmd.Args(cmd, []string{"a", "b", "c", "d"}) != nil {
			wrong = append(wrong, []string{"a", "b", "c", "d"})
		}
		if cmd.Args != nil && cmd.Args(cmd, nil) != nil {
			wrong = append(wrong, []string{})
		}
		if cmd.Flags().Lookup("timeout") != nil {
			wrong = append(wrong, []string{"--timeout", "0s"}, []string{"--timeout", "soon"})
		}
		for _, args := range wrong {
			s := session{env: map[string]string{"KEEL_CONFIG": "none"}}
			r := s.run(append(path[:len(path):len(path)], args...)...)
			if r.code != 2 || r.out != "" || !strings.HasPrefix(r.errout, "keelctl: ") || !strings.Contains(r.errout, "--help` says how it is used") {
				t.Errorf("keelctl %s %s: %+v", strings.Join(path, " "), strings.Join(args, " "), r)
			}
		}
	})
}

func TestACommandThatIsNoneIsSaidToBeLikeOthers(t *testing.T) {
	for typed, like := range map[string]string{"vm creat": "did you mean create?", "hots": "did you mean host?", "vm frobnicate": `unknown command "frobnicate"`} {
		if r := keelctl(strings.Fields(typed)...); r.code != 2 || !strings.Contains(r.errout, like) || strings.Count(r.errout, "\n") != 2 {
			t.Errorf("%s: %+v", typed, r)
		}
	}
}

func TestFlagsOverrideTheEnvironment(t *testing.T) {
	s := newSession(t)
	s.must(t, "init", "--context", "one")
	s.must(t, "init", "--context", "two")
	for _, test := range []struct {
		env  map[string]string
		args []string
		want string
	}{
		{nil, nil, "one"},
		{map[string]string{"KEEL_CONTEXT": "two"}, nil, "two"},
		{map[string]string{"KEEL_CONTEXT": "two"}, []string{"--context", "one"}, "one"},
	} {
		for k, v := range test.env {
			s.env[k] = v
		}
		r := s.must(t, append([]string{"cert", "list", "-o", "json"}, test.args...)...)
		if got := s.must(t, "context", "show", test.want).out; !strings.Contains(got, "context            "+test.want) || !strings.Contains(r.out, "alice") {
			t.Errorf("%+v: %s", test, got)
		}
		// A host that isn't there names the context that was looked in.
		s.fails(t, 3, "context "+test.want+" has no host", append([]string{"vm", "list"}, test.args...)...)
	}
	s.env["KEEL_CONTEXT"] = ""
	s.env["KEEL_TIMEOUT"] = "soon"
	s.fails(t, 2, `KEEL_TIMEOUT is "soon"`, "vm", "list")
	s.env["KEEL_TIMEOUT"] = ""
	s.env["KEEL_OUTPUT"] = "xml"
	s.fails(t, 2, "give table, json or yaml", "context", "list")
	s.env["KEEL_OUTPUT"] = "json"
	if r := s.must(t, "context", "list"); !strings.HasPrefix(r.out, "[") {
		t.Errorf("KEEL_OUTPUT=json: %s", r.out)
	}
	if r := s.must(t, "context", "list", "-o", "table"); !strings.HasPrefix(r.out, " ") {
		t.Errorf("-o table: %s", r.out)
	}
}

func TestTheTimeoutsDefaultIsTheCommands(t *testing.T) {
	walk(tree(), nil, func(cmd *cobra.Command, path []string) {
		f := cmd.Flags().Lookup("timeout")
		if f == nil {
			return
		}
		if wait := cmd.Flags().Lookup("wait") != nil; strings.Contains(f.Usage, "with --wait 10m") != wait {
			t.Errorf("%s: %s", cmd.CommandPath(), f.Usage)
		}
	})
}
