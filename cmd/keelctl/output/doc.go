// Package output writes what a command was asked for: as a table to read, or as JSON or YAML to compute with.
//
// The rule: JSON and YAML are what the host said, whole and in its order; a table is a choice made for eyes, and may
// change. Nothing that came from a host or a guest reaches a terminal unescaped. Colour is only for a terminal, and only
// without NO_COLOR.
//
// The commands of cmd/keelctl call it. It decides nothing, and writes nowhere but to the writer that it was given.
package output
