package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"keel/cmd/keelctl/manifest"
	"keel/vmkernel/seed"
)

func (a *app) seedCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "seed",
		Short: "Make, check and show seeds",
		Long: `A seed is the file that tells a host what it is and which virtual machines it runs.
Give it to a host as a boot module or as /keel/seed.tar on the boot medium.`,
		Example: `  keelctl seed create -f host.yaml -o seed.tar
  keelctl seed show seed.tar`,
		Args: cobra.NoArgs,
		RunE: help,
	}
	cmd.AddCommand(a.seedCreate(), a.seedSign(), a.seedToken(), a.seedCheck(), a.seedShow())
	return cmd
}

const yamlHelp = `
The YAML holds one document of kind Host, which may be left out, and one of kind VM
for each virtual machine, in one file or in several:

  apiVersion: keel/v1
  kind: Host
  name: keel-1
  whenIdle: stay             # or poweroff: once the last VM has stopped
  management: {nic: auto}    # how it is reached: auto, or the MAC address of a network card
  trust: {operatorCAs: [ca.pem]}    # who may manage it: see keelctl init
  ---
  apiVersion: keel/v1
  kind: VM
  name: demo
  cpu: {count: 2}
  memory: {size: 256MiB}     # KiB, MiB or GiB
  boot: {kernel: vmlinuz, initrd: guest.cpio.gz, cmdline: "console=ttyS0"}
  serial: [{name: ttyS0, log: host}]

Names of files are relative to the YAML file that has them.`

// policyHelp is shown where this version of Keel obeys what it describes.
const policyHelp = `

Processors and memory are shared by policy. 100% is one logical processor; shares count
against those of the others in the same pool, for what reservations leave:

  kind: VM
  cpu: {count: 2, shares: 2000, reservation: 50%, limit: 200%, affinity: [0, 1], exclusive: false, pool: web}
  memory: {size: 256MiB, shares: 2560, reservation: 64MiB, limit: 192MiB, pool: web}

  kind: Host
  pools:
    - {name: web, cpu: {shares: 4000, reservation: 100%}, memory: {reservation: 512MiB}}
    - {name: web-test, parent: web, cpu: {limit: 50%}}`

// description is what the YAML holds.
func description() string {
	if len(seed.Later["vm.cpu"]) > 0 {
		return yamlHelp
	}
	return yamlHelp + policyHelp
}

func (a *app) seedCreate() *cobra.Command {
	var (
		names  []string
		output string
		token  string
		assign bool
	)
	cmd := &cobra.Command{
		Use:   "create -f FILE.yaml [-f FILE.yaml]... -o SEED.tar",
		Short: "Make a seed from YAML",
		Long: `Make a seed from YAML, after checking all of it. The same input gives the same seed, byte
for byte, but for the signature: where the context has the operator CA's key (or a
certificate for seeds) the seed is signed, and has the certificates that were revoked here.
` + description() + `

Each VM has an id, a UUID that never changes. For a VM without one an id is made for
this seed alone; with --assign it is also written into the YAML file.`,
		Example: `  keelctl seed create -f host.yaml -o seed.tar
  keelctl seed create -f host.yaml -f vms.yaml -o seed.tar --assign`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			set, err := a.load(names)
			if err != nil {
				return err
			}
			if err := giveToken(set, token); err != nil {
				return err
			}
			if err := a.revoke(&set.Document); err != nil {
				return err
			}
			archive, err := set.Build()
			if err != nil {
				return err
			}
			if archive, err = a.seal(cmd, archive, &set.Document); err != nil {
				return err
			}
			if assign {
				if err := set.Assign(); err != nil {
					return err
				}
			}
			a.notes(set, "seed", assign)
			if output == "-" {
				_, err := a.stdout.Write(archive)
				return err
			}
			if err := manifest.Replace(output, archive); err != nil {
				return err
			}
			fmt.Fprintf(a.stderr, "%s: %s\n", output, describe(&set.Document, len(archive)))
			return nil
		},
	}
	a.inputFlag(cmd, &names)
	a.signFlag(cmd)
	cmd.MarkFlagRequired("file")
	cmd.Flags().StringVarP(&output, "output", "o", "", "the seed to write; - is standard output")
	cmd.MarkFlagRequired("output")
	cmd.MarkFlagFilename("output", "tar")
	cmd.Flags().StringVar(&token, "token-file", "", "a file with the host's token, as keelctl seed token makes it")
	cmd.MarkFlagFilename("token-file")
	cmd.Flags().BoolVar(&assign, "assign", false, "write the ids that are made into the YAML files")
	return cmd
}

func (a *app) inputFlag(cmd *cobra.Command, names *[]string) {
	cmd.Flags().StringArrayVarP(names, "file", "f", nil, "a YAML file; may be given more than once; - is standard input")
	cmd.MarkFlagFilename("file", "yaml", "yml")
}

func (a *app) load(names []string) (*manifest.Set, error) {
	loader := manifest.Loader{Stdin: a.stdin, NewID: a.newID}
	return loader.Load(names)
}

// notes says what was assumed, of what is made: a seed, or VMs.
func (a *app) notes(set *manifest.Set, what string, assigned bool) {
	if set.NoHost {
		a.note("note: no document of kind Host: the host is named %s and has the defaults", set.Document.Host.Name)
	}
	for _, u := range set.Unassigned {
		if assigned {
			fmt.Fprintf(a.stderr, "%s: note: VM %s now has the id %s\n", u.Pos, u.VM, u.ID)
		} else {
			fmt.Fprintf(a.stderr, "%s: note: VM %s has no id; %s was made for this %s alone (--assign writes it here)\n", u.Pos, u.VM, u.ID, what)
		}
	}
}

func (a *app) seedCheck() *cobra.Command {
	var names []string
	cmd := &cobra.Command{
		Use:   "check {-f FILE.yaml... | SEED.tar...}",
		Short: "Check YAML or seeds without making anything",
		Long: `Check YAML as create does, or seeds as a host does, and write nothing.
The exit code is 0 if a host would start with all of it.
` + description(),
		Example: `  keelctl seed check -f host.yaml
  keelctl seed check seed.tar`,
		Args: func(_ *cobra.Command, seeds []string) error {
			switch {
			case len(names) == 0 && len(seeds) == 0:
				return errors.New("nothing to check: give -f FILE.yaml or SEED.tar")
			case len(names) > 0 && len(seeds) > 0:
				return fmt.Errorf("-f and a seed (%s) can't be checked together: give one of them", seeds[0])
			}
			return nil
		},
		RunE: func(_ *cobra.Command, seeds []string) error {
			if len(names) > 0 {
				set, err := a.load(names)
				if err != nil {
					return err
				}
				archive, err := set.Build()
				if err == nil {
					fmt.Fprintf(a.stdout, "%s: good: %s\n", strings.Join(names, ", "), describe(&set.Document, len(archive)))
				}
				return err
			}
			var faults manifest.Errors
			for _, name := range seeds {
				s, size, err := read(name)
				if err != nil {
					faults = append(faults, err)
					continue
				}
				for _, r := range s.Refused {
					for _, p := range r.Problems {
						faults = append(faults, of(name, p))
					}
				}
				if len(s.Refused) == 0 {
					fmt.Fprintf(a.stdout, "%s: good: %s\n", name, describe(document(s), size))
				}
			}
			if len(faults) > 0 {
				return faults
			}
			return nil
		},
	}
	a.inputFlag(cmd, &names)
	return cmd
}

func (a *app) seedShow() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "show SEED.tar",
		Short: "Show what a seed says",
		Long: `Show what a seed says, with the defaults filled in, and check it as a host does.
VMs that a host would refuse are shown with the reason, and the exit code is then 1.`,
		Example: `  keelctl seed show seed.tar
  keelctl seed show seed.tar -o json`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return fmt.Errorf("give one seed, not %d", len(args))
			}
			if format != "text" && format != "json" {
				return fmt.Errorf("--output %s is not possible: give text or json", format)
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error {
			s, _, err := read(args[0])
			if err != nil {
				return err
			}
			if format == "json" {
				err = showJSON(a.stdout, s)
			} else {
				err = show(a.stdout, s)
			}
			if err != nil {
				return err
			}
			var faults manifest.Errors
			for _, r := range s.Refused {
				faults = append(faults, of(args[0], r))
			}
			if len(faults) > 0 {
				return faults
			}
			return nil
		},
	}
	cmd.Flags().StringVarP(&format, "output", "o", "text", "text or json")
	return cmd
}

// read reads a seed as a host does and returns it with its size in bytes.
func read(name string) (*seed.Seed, int, error) {
	archive, err := os.ReadFile(name)
	if err != nil {
		return nil, 0, err
	}
	s, err := seed.Parse(archive)
	if err != nil {
		return nil, 0, of(name, err)
	}
	return s, len(archive), nil
}

// of puts the name of a seed before what is wrong with it.
func of(name string, err error) error {
	return fmt.Errorf("%s: %s", name, strings.TrimPrefix(err.Error(), "seed: "))
}

// document is the inverse of reading: keel.json of what was accepted.
func document(s *seed.Seed) *seed.Document {
	d := &seed.Document{APIVersion: seed.APIVersion, Host: s.Host, VMs: s.VMs, Files: map[string]seed.FileInfo{}}
	for name, f := range s.Files {
		d.Files[name] = f.Info
	}
	return d
}

// showJSON writes keel.json with the defaults filled in, and what was refused.
func showJSON(w io.Writer, s *seed.Seed) error {
	out := struct {
		*seed.Document
		Refused []string `json:"refused,omitempty"`
	}{Document: document(s)}
	if out.Host.Trust.Token != "" {
		out.Host.Trust.Token = "(not shown)"
	}
	for _, r := range s.Refused {
		out.Refused = append(out.Refused, r.Error())
	}
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(out)
}
