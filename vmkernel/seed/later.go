package seed

// Later names the keys that Keel will know but doesn't obey yet, by the group that they stand in. They are refused by
// name rather than taken and ignored. It is the only place to change once a key is obeyed: what a key means is decoded,
// written and shown as soon as its name is gone from here. Tests may change it; nothing else does.
var Later = map[string][]string{
	"host": {"networks", "datastores"},
	"vm":   {"disks", "nics", "displays", "tpm"},
}
