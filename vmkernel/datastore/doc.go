// Package datastore keeps images: the kernels, initrds and modules that virtual machines boot from.
//
// An image is a name and contents that never change. It comes by upload, for which size and SHA-256 are declared first
// and the bytes follow in order, in as many pieces as it takes; or it was there from the start, as the seed's files are,
// and then it is read only. Store is what a datastore does; Memory is one whose images last until the host restarts.
//
// The rule of references, for definitions of virtual machines and for callers alike: a reference with a colon is a digest,
// sha256: and 64 hexadecimal digits, and means whichever complete image has these contents; any other reference is the
// name of one image, exactly. A name is a clean relative path (seed.CheckName), so it has no colon and is never a digest.
//
// The rules that it keeps: contents are readable only after their SHA-256 was right; what somebody uses (Hold) can't be
// deleted, so that a name means the same for as long as a definition has it; space is taken when an upload is declared,
// so that one that was let in also ends; and what can't be is refused with the numbers.
//
// cmd/keel makes the Store and gives it to vmkernel/vm, which holds and opens images, and to vmkernel/api, which uploads,
// lists and deletes them. It must know neither, trust no size or offset that it is given, nor touch a network.
package datastore
