// Keelctl is the administrator's command for Keel. It runs on the administrator's machine: Linux, macOS or Windows.
//
// It makes, checks and shows seeds. Package manifest turns YAML into them; package vmkernel/seed judges them, as it does
// in the kernel. This package is the command line alone: flags, what is printed, exit codes.
//
// The rule: what is wrong is said on stderr, one line a fault, with the file and line where there is one; stdout has only
// what was asked for. The exit code is 0 for success, 1 for a fault, 2 for a wrong command line.
package main
