// Package release says which version of Keel a program was built from.
//
// The rule: the Go toolchain knows, and nobody else is asked or told. It stamps what it builds from a git checkout with the
// tag of the commit, or with a pseudo-version of its time and revision (https://go.dev/ref/mod#pseudo-versions), and adds
// +dirty where files differ from it. What was built elsewhere says so instead of naming a version.
//
// cmd/keel and cmd/keelctl call it, so that both ends name themselves in the same form.
package release
