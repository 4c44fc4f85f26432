// Package lapic is the local APIC of one virtual processor (SDM 3A chapter 11, AMD APM volume 2 chapter 16): xAPIC and
// x2APIC, version 14H with six local vectors, without suppression of EOI broadcasts. Its bus clock is 1 GHz: with the
// divider at 1, a timer count is a nanosecond.
//
// The registers live in a page laid out like the xAPIC's, which is also the layout of VT-x's virtual-APIC page, so that the
// processor may work on the same memory later.
//
// Whose is what: the virtual processor's own physical processor calls everything, and all that is not said otherwise only it
// may call. Any processor may call Accept, Deliver, LINT, Match, Bid, Mode and Enabled at any time: what they touch is
// accessed atomically. Before a VM entry the owner looks at Signals; if it is zero nothing is pending. Else, in order:
// INIT, SIPI (the wait-for-SIPI state is the owner's: it drops what StartUp returns when it doesn't wait for one), NMI, ExtINT
// (the 8259 is asked for the vector), Pending with Ack.
//
// What the register interface can't do alone it returns as an Effect.
//
// It runs in the lower half on the fast exit path: no allocation, no runtime call, no vector register (a test proves it).
package lapic
