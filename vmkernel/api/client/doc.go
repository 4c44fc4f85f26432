// Package client is the other end of a host's door: calls, streams and WebSockets over TLS 1.3 with a client certificate,
// to a host that is recognised by its key.
//
// The rule: not a byte of a request leaves before the host's key was judged, unless the caller takes any host. What
// fails comes back as one error that says which host, what and why: a *Refused is the host's own answer, a *Failure says
// that there was none. No call waits without limit. What an answer has more than is known here is ignored.
//
// cmd/keelctl calls it. It keeps nothing and asks nobody anything: whom to trust is the caller's to say.
package client
