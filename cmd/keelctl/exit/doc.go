// Package exit says what the exit code of keelctl is for each kind of failure.
//
// The rule: a code means one thing, so that a script can tell "there is no such VM" from "the host doesn't answer"
// without reading what is printed. Commands return errors; main turns them into a code by Code and into text by Error.
// What has no code of its own is Fault.
//
// The commands of cmd/keelctl call it. It must not print.
package exit
