// Package door lets connections in: it takes them from a listener, has each through its TLS handshake, and gives those of
// known callers on, as a net.Listener of its own.
//
// The rule: strangers cost little and never stand in an administrator's way. A connection whose handshake isn't done is
// half open, and of these there are few: when one too many comes another goes, of the source that has most, first one
// that has said nothing, first the oldest. Sources from which somebody known has come lately have places and a rate of
// their own. Connections of known callers are counted by caller, and the last places are for administrators; those of
// strangers, whom a claim lets in, make room for each other, for the newcomer may be the one with the code. Handshakes
// are limited in rate before anything is computed for them, and in number at a time when the host's key is used, so that
// a processor stays free. Everything has a time limit. Memory is bounded by Limits. What goes out over HTTP/2 is gathered, so
// that an answer is one packet (gather.go).
//
// package server makes a Door, and asks it who is at the other end (PeerOf). The door must not know what is asked of the
// host, nor let in anybody whom its Config doesn't know.
package door
