package main

import (
	"strings"

	"github.com/spf13/cobra"

	"keel/cmd/keelctl/config"
	"keel/cmd/keelctl/exit"
	"keel/cmd/keelctl/manifest"
	"keel/vmkernel/auth"
)

func (a *app) seedToken() *cobra.Command {
	return &cobra.Command{
		Use:   "token FILE",
		Short: "Make the token by which a host without a screen proves itself",
		Long: `Make a token and write it to a file that only you can read. Give it to ` + "`seed create`" + ` and
to ` + "`host add`" + ` by --token-file: the host then proves to keelctl that it has that seed, at first
and after each restart, and nobody has to read a fingerprint off its screen. Each host has
its own. Who knows the token can pass for the host; it is in the seed, so keep that as well.`,
		Example: `  keelctl seed token token
  keelctl seed create -f host.yaml --token-file token -o seed.tar
  keelctl host add 192.0.2.10 --token-file token`,
		Args: oneOf("file"),
		RunE: func(_ *cobra.Command, args []string) error {
			if err := config.Create(args[0], []byte(auth.NewToken()+"\n")); err != nil {
				return err
			}
			a.note("wrote %s", args[0])
			return nil
		},
	}
}

// readToken reads a file with a token.
func readToken(path string) (string, error) {
	text, err := config.ReadSecret(path)
	if err != nil {
		return "", err
	}
	token := strings.TrimSpace(string(text))
	return token, inFile(path, auth.CheckToken(token))
}

// giveToken puts a token into a seed that has none.
func giveToken(set *manifest.Set, path string) error {
	if path == "" {
		return nil
	}
	token, err := readToken(path)
	if err != nil {
		return err
	}
	to := &set.Document.Host.Trust.Token
	if *to != "" && *to != token {
		return exit.Errorf(exit.Usage, "the YAML has another token (trust.token) than %s: leave one out", path)
	}
	*to = token
	return nil
}
