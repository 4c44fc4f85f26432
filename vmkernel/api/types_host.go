package api

import "time"

// Version says what runs.
type Version struct {
	Version string `json:"version"` // the host's release
	Build   string `json:"build"`   // when the image was built
	API     string `json:"api"`     // v1
	Host    string `json:"host"`    // the host's name
	You     Caller `json:"you"`     // who the host takes the caller for
}

// Caller is whom a client certificate names.
type Caller struct {
	Name     string            `json:"name"`
	Role     string            `json:"role"`
	Scope    map[string]string `json:"scope,omitempty"` // labels that a VM must have; none: all VMs
	NotAfter time.Time         `json:"notAfter"`        // when the certificate ends
}

// Host is the host as a whole.
type Host struct {
	Name      string        `json:"name"`
	State     string        `json:"state"` // the status page's word: ready, recovering, safe, …
	Serial    string        `json:"serial,omitempty"`
	Version   string        `json:"version"`
	Boot      string        `json:"boot"` // this boot's id, that of its audit log
	Started   time.Time     `json:"started"`
	Hardware  Hardware      `json:"hardware"`
	Resources HostResources `json:"resources"`
	Health    Health        `json:"health"`
	Seed      HostSeed      `json:"seed"`
}

// Hardware is what Keel found.
type Hardware struct {
	CPUs           int    `json:"cpus"` // logical processors
	CPUModel       string `json:"cpuModel,omitempty"`
	Virtualisation string `json:"virtualisation"` // vt-x, amd-v or none
	TSCHz          uint64 `json:"tscHz"`
	ClockSource    string `json:"clockSource"` // what the time-stamp counter was measured by
	Memory         uint64 `json:"memory"`      // bytes usable by Keel
	DMAProtection  bool   `json:"dmaProtection"`
	Cards          []Card `json:"cards,omitempty"`
}

// Card is a network card.
type Card struct {
	Address string `json:"address"` // PCI, as 0000:00:03.0
	Driver  string `json:"driver"`  // empty: none of Keel's drives it
	MAC     string `json:"mac,omitempty"`
	Link    string `json:"link,omitempty"` // 1000Mbit/s, down
}

// HostResources is what there is and what is taken. Memory is in bytes.
type HostResources struct {
	MemoryUsed uint64 `json:"memoryUsed"` // by Keel itself
	MemoryFree uint64 `json:"memoryFree"` // free, and not promised to anybody
	ImagesUsed uint64 `json:"imagesUsed"`
	ImagesFree uint64 `json:"imagesFree"`
	VMs        int    `json:"vms"`
	VMsRunning int    `json:"vmsRunning"`
	Worlds     int    `json:"worlds"`

	Exclusive []ExclusiveCPU `json:"exclusive,omitempty"` // processors that VMs have for themselves, ascending
	Nodes     []HostNode     `json:"nodes,omitempty"`     // NUMA nodes; one where the firmware names none
}

// HostNode is a NUMA node of a host. Memory is in bytes.
type HostNode struct {
	Node        uint64 `json:"node"`           // the firmware's number: ACPI's proximity domain
	CPUs        []int  `json:"cpus,omitempty"` // its logical processors, ascending
	Memory      uint64 `json:"memory"`
	MemoryClean uint64 `json:"memoryClean"` // free and zeroed
	MemoryFree  uint64 `json:"memoryFree"`  // nobody has it; some may be promised
}

// ExclusiveCPU is a logical processor that a VM has for itself.
type ExclusiveCPU struct {
	CPU int    `json:"cpu"`
	VM  string `json:"vm"`
}

// Health is ok while there are no problems.
type Health struct {
	State    string   `json:"state"` // ok or warning
	Problems []string `json:"problems,omitempty"`
}

// HostSeed is the seed that the host has applied.
type HostSeed struct {
	Source string   `json:"source"`           // boot module, medium, …; empty: none
	Signer string   `json:"signer,omitempty"` // the CA whose signature it has
	Others []string `json:"others,omitempty"` // why another wasn't used, a line each
}

// HostStop asks the host to shut down or to restart.
type HostStop struct {
	Force bool `json:"force,omitempty"` // ends VMs at once instead of pressing their power buttons
}

// HostTime is the host's clock.
type HostTime struct {
	Now     time.Time `json:"now"`
	Source  string    `json:"source"`            // sntp, rtc, build, seed or set
	Servers []string  `json:"servers,omitempty"` // SNTP's
	Last    time.Time `json:"last,omitzero"`     // when SNTP answered last
}

// HostTimeSet sets the clock, the servers that it follows, or both.
type HostTimeSet struct {
	Now     *time.Time `json:"now,omitempty"`
	Servers *[]string  `json:"servers,omitempty"` // addresses; empty: those that DHCP gives
}

// LogLine is one line of the host's log, and of the guests' consoles that are copied to it.
type LogLine struct {
	Sequence uint64    `json:"sequence"` // from 1; a gap: lines that are no longer kept
	Time     time.Time `json:"time"`
	Text     string    `json:"text"`
}

// World is what is scheduled: a thread of Keel's own, or a virtual processor.
type World struct {
	ID      uint64            `json:"id"`
	Kind    string            `json:"kind"`                    // thread or vcpu
	VM      string            `json:"vm,omitempty"`            // a vcpu's
	VCPU    int               `json:"vcpu"`                    // a vcpu's number
	CPU     int               `json:"cpu"`                     // the logical processor where it runs or ran last
	State   string            `json:"state"`                   // running; ready: it waits for a processor; limited: a limit keeps it from one, or that it is ahead of its siblings; blocked: it wants none; paused
	Used    uint64            `json:"usedNS"`                  // processor time. With readyNS, limitedNS, blockedNS and pausedNS it is all the time that there was
	Ready   uint64            `json:"readyNS"`                 // waiting for a processor
	Limited uint64            `json:"limitedNS"`               // kept from one by a limit, or for being ahead of its siblings
	Blocked uint64            `json:"blockedNS"`               // waiting for something else
	Paused  uint64            `json:"pausedNS"`                // its VM was
	Stolen  uint64            `json:"stolenNS"`                // readyNS and limitedNS: it wanted a processor and had none
	Longest uint64            `json:"longestWaitNS,omitempty"` // of its waits for a processor
	Outside uint64            `json:"outsideNS,omitempty"`     // of usedNS, about: not in guest mode, but in a vcpu's exits and their device models
	Turns   uint64            `json:"turns,omitempty"`         // how often it was given a processor
	Exits   map[string]uint64 `json:"exits,omitempty"`         // a vcpu's, by their reason, but for those that never happened
	Shares  uint64            `json:"shares"`                  // of its parent's processors
}

// Worlds is the answer to a list of them.
type Worlds struct {
	At     uint64  `json:"atNS,omitempty"` // when they were looked at, by a clock that only goes forward: for differences
	Worlds []World `json:"worlds"`
}
