// Package api is what Keel says over its one door: the routes, the JSON that they take and give, and the errors.
//
// The rule: one table (Routes) says which role may call what, on what, and how a call is recorded; nothing is served that
// isn't in it, and OpenAPI, the document that the server hands out, is made from it and from these types. Sizes are bytes,
// times are RFC 3339 in UTC, lengths of time have their unit in their name, and identifiers that a client chooses are UUIDs.
//
// # Versions
//
// All routes stand under /v1. Within it a release may add routes, fields to answers, values that say what happened, and
// optional fields and parameters of requests; it takes nothing away and gives nothing another meaning. So any two releases
// work together, in what the older one knows:
//
//   - A server refuses what it doesn't know, and says that this is why: a field or a parameter by its name (code
//     unknown-field), a route (no-route), a method (method). What an administrator asked for is done as a whole or not at
//     all; a newer client says which of its wishes the older host can't meet.
//   - A client ignores fields of answers that it doesn't know, and takes a value that it doesn't know (a state, an event's
//     kind) for text to show. It doesn't rely on fields that were added after the first release of v1 being there, sends
//     no more than it was asked to (defaults are the server's), and gives back no description of which it knows a part.
//
// GET /v1/version names the host's release; a client names its own in User-Agent, and `keelctl version` shows both.
// testdata/older has the documents of older releases, against which tests hold this one: each release adds its own.
//
// # Names
//
// {vm} is a VM's name or its id. Every PUT carries If-Match with the ETag that GET gave: without it the answer is 428, after
// somebody else's change 412. Creates carry an id of the client's: sent twice they are done once, and the same id with
// other contents is a conflict.
//
// Packages server and client are the two ends. This one must not know of either, nor of the machine: it is built for every
// system that keelctl runs on.
package api
