// Package client calls a Keel host's API: keelctl's end of the door, and that of tests.
//
// The rules: a host is known by its key or by a CA before anything is asked of it; what went wrong is of a Kind, that
// programs can tell apart, and says what to do; nothing is sent twice but what is harmless twice: connections that the
// door has turned away in a crowd, and pieces of an upload. Fields of answers that it doesn't know it ignores.
//
// It is built for every system that keelctl runs on, and must not know of package server.
package client
