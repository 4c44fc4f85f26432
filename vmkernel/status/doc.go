// Package status draws the page that the host's own screen shows: who the host is, how it is reached
// and known, and what is wrong with it.
//
// Rule: pure Go without knowledge of the machine. A page is 80 by 25 cells whatever it is told: text
// that is too long is cut with two dots, lists that are too long say how many more there are, and what
// isn't printable ASCII shows as a question mark. The screen takes no input. cmd/keel calls it; it must
// never be told a secret but the claim's code, which is for whoever stands before the screen.
package status
