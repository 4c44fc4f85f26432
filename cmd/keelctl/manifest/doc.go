// Package manifest makes seeds from YAML: documents of the kinds Host and VM, in one or more files.
//
// The rule: it knows YAML, files and units, but not what a host or a VM may hold. It builds seed.Nodes, each with the
// file and line where it was written, and leaves all judgement to seed.Decoder, the one that the kernel uses. Whatever
// it makes it reads back as the kernel would, before anyone gets it.
//
// cmd/keelctl calls it. It must never change a YAML file except by Assign, and there nothing but the ids.
package manifest
