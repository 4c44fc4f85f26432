// Package seed reads and writes seeds: the one file that tells a host what it is and which virtual machines it runs.
//
// A seed is a tar archive that holds keel.json (strict JSON, sizes in bytes, durations such as "30s") and the files
// that keel.json names, each with its size and SHA-256. It is the host's only configuration and is applied at every boot.
//
// The rule: a seed means one thing or is refused. No key is ignored, none appears twice, nothing in the archive goes
// unnamed, and every refusal is one line that says where, what and why. A fault of the archive, of the JSON or of the
// host's own section refuses the whole seed; a fault of one VM refuses that VM and no other.
//
// The kernel calls Select and then Open (or Parse) with the bytes that the boot loader left in memory; file contents
// are subslices of them, never copies. cmd/keelctl builds Nodes from YAML and decodes them by the same Decoder, so that
// what keelctl accepts and what the kernel accepts cannot differ; it and tests make seeds by Write and Pack.
//
// The package must never trust its input, write to it, or touch a file system or the clock.
package seed
