// Package cpumodel is the processor that guests see: keel-x86-1, as a table of CPUID leaves (SDM 2A
// CPUID, APM 3 appendix E). It is declared, never the host's CPUID passed through.
//
// The rules that it keeps: a feature is offered only if it is in the table of features, and what
// comes from the host only where the host has it; a feature is in the table only if Keel switches
// the state that it brings, or it brings none. Absent on purpose: virtualisation, MTRRs, machine
// check, performance counters, MONITOR, MPX, AVX-512, protection keys, CET, XSAVES,
// SPEC_CTRL and ARCH_CAPABILITIES.
//
// Package vm calls Build once for each VM that starts, and tools/surface lists Features. What a
// guest's CPUID shows of the moment (APIC IDs, OSXSAVE, the size of the enabled state) the lower
// half fills in. It must never execute an instruction of its own: it asks for the host's leaves.
package cpumodel
