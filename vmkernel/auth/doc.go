// Package auth says who may do what to a host: certificates, roles, what a host trusts, and how it comes to trust it.
//
// The rule: nobody is let in, and nothing is allowed, but for a reason that stands here. Someone is who a certificate says
// that an operator CA of the host has signed itself, for a key that he has just used (TLS 1.3); he may do what the Rule
// of a route says of his role. The zero Rule, an unknown role and a certificate with two admit nobody. Each refusal is
// one line that says what to do, and a Reason for programs.
//
// # First trust
//
// A host knows its operator CAs from its image, its seed, or a claim. A claim is open where it knows none, and for 15
// minutes where someone in front of the machine chose `Recover access`; one is taken, and it is over.
//
// The code on the console, and the token in a seed, are secrets that two sides share. Neither is ever sent. A proof is an
// HMAC, keyed by the secret, over what it is about: its purpose, the fingerprint of the TLS key that the host has shown in
// this connection, a nonce of the client's, and in a claim the CA and the claimer's clock. From that follows:
//
//   - Someone in between, who shows a key of his own to the client, gets a proof about that key, and the host wants one
//     about its own. He can't pass it on, nor make another.
//   - A proof can't be used again: the client's nonce is in it, and a claim's code is gone once it was taken.
//   - A proof of one kind is none of another: its purpose is in it. The host answers a claim by a proof of a third kind,
//     so that the claimer knows that it was this host that took it.
//   - From a proof the secret could be guessed without asking anybody. A code has 80 bits, a token of NewToken's 256; no
//     guessing gets that far within a window of 15 minutes, or at all.
//   - Nor by asking: a connection may try MaxTries codes, strangers get 50 connections a second at the door, and a thousand
//     tries a second from all together are the most that is looked at: 2 × 10¹³ years in the mean.
//
// The token serves a host for as long as its seed does, for it has to prove itself anew after each restart; only
// someone who was let in may ask for a proof. Who reads the seed has the token, and can pass for the host until the next.
//
// # Signed seeds
//
// A seed's signature is over keel.json, which has the SHA-256 of everything else in the seed. An image with a CA (package
// builtin) takes no seed without one. That promises that the CA, or a key for seeds that it has certified, signed this
// seed, whole and unchanged, with at least the sequence that the image asks for. A host that keeps nothing over a restart
// can't promise more:
//
//   - Not that a seed is the newest. Who chooses what the host boots from can give it any that was signed, down to the
//     image's minimum: the next image is to raise that.
//   - Not that it was meant for this host: a host has its name from its seed. What must not be mixed up needs CAs of its own.
//   - Not that it was signed when it says. The time is the signer's word; so a key for seeds is as good as its CA until
//     an image lists it as revoked, even after its certificate's end. The host asks whether the certificate was valid at
//     that time, not whether it is now, or else hosts would stop starting one day.
//
// # Who calls it
//
// cmd/keel makes the Store and the HostKey at boot; vmkernel/api serves by ServerConfig and asks Peer, Recheck and
// Rules; vmkernel/seed reads the seed's trust by it; cmd/keelctl makes CAs, requests, certificates, claims and signatures.
//
// The package must never write a private key, a code or a token to a log or an error, let a text from the network into a
// message unquoted, or keep more for a stranger than its limits say.
package auth
