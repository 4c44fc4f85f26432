// Package config keeps what keelctl remembers between its runs: contexts, the hosts in them with the keys that they
// were pinned to, the administrator's key and certificate, the operator CA, and the audit checkpoints that were seen.
//
// Everything is below one directory, $XDG_CONFIG_HOME/keel (on Windows %AppData%\keel) unless KEEL_CONFIG names another
// file:
//
//	config.yaml                      contexts and hosts; no secrets, but what is trusted
//	contexts/NAME/ca.pem, ca.key     the operator CA; the key is only where `keelctl init` made it
//	contexts/NAME/user.pem, user.key the administrator's certificate and key
//	contexts/NAME/request.csr        a certificate request that has not been answered yet
//	contexts/NAME/issued.yaml        the certificates that this CA has signed
//	contexts/NAME/tokens/HOST        the token by which a host proves itself after a restart
//	contexts/NAME/checkpoints/HOST   the last audit checkpoint seen of a host
//
// The rule: a file appears with its whole contents or not at all, no secret is readable by anyone but its owner (0600,
// in directories of 0700) and one that is will not be used, and nothing that exists is overwritten by accident.
//
// cmd/keelctl calls it. It never talks to a host and never prints.
package config
