// Package guestmem is a guest's physical memory as the rest of Keel sees it.
//
// The rule that it keeps: every access is checked against the guest's RAM
// before a byte moves, in arithmetic that cannot wrap. An access that is not
// wholly RAM does nothing and returns an error, so a guest-physical address
// or a length taken from a guest is safe to hand to any method as it is.
//
// Device models, loaders and table builders call it, and it is their only
// way to reach guest memory. It must never read or write outside the ranges
// that it was given, grow, or keep a slice that it was not given. Successful
// accesses allocate nothing.
//
// The guest runs while others access its memory: two reads of one address
// can differ, and only what was copied out stays the same. Code that checks a
// value and then uses it reads it once into a local variable.
package guestmem
