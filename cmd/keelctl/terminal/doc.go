// Package terminal is the terminal that keelctl runs in: whether there is one, how large it is, and raw mode.
//
// The rule: a terminal is left as it was found, whatever happens between. What isn't a terminal is never changed and
// never asked a question.
//
// cmd/keelctl calls it; its tests give it a terminal of their own making.
package terminal
