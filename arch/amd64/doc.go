// Package amd64 is the processor: its privileged instructions, registers, page-table entries and
// the layout of the kernel's address space, as named by Intel's SDM and AMD's APM.
//
// Rule: mechanism without policy, and nothing of ours is imported. It is called by boot and the
// lower half only; a check on the built image proves that the upper half executes none of it.
package amd64
