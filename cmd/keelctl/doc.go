// Keelctl is the administrator's command for Keel. It runs on the administrator's machine: Linux, macOS or Windows.
//
// It makes, checks, signs and shows seeds; makes and signs certificates; and is the client of a host's door. This package
// is the command line, a file for each noun: flags, what is printed, exit codes. Its packages do one thing each:
//
//	config    what is remembered between runs: contexts, hosts and their keys, checkpoints
//	exit      exit codes
//	manifest  YAML to seeds and VMs
//	output    tables, JSON and YAML
//	terminal  raw mode and the console's escapes
//
// Package vmkernel/seed judges seeds, as it does in the kernel, vmkernel/auth certificates, vmkernel/audit the audit log;
// vmkernel/api/client talks to hosts.
//
// The rule: what is wrong is said on stderr, one line a fault, with the file and line where there is one; stdout has only
// what was asked for. An exit code means one thing (`keelctl help exit-codes`). A host is believed for its key alone, and
// that is judged before anything is sent. Nothing waits without limit, and what a host or a guest says can't drive the
// terminal, but for a guest's console.
package main
