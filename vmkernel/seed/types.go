package seed

import "time"

// Names and limits of what a seed may hold. Sizes are in bytes.
const (
	APIVersion = "keel/v1"
	Manifest   = "keel.json" // the archive's entry that describes the rest
	Machine    = "keel-1"    // what an absent `machine` means, in every version of Keel
	CPUModel   = "keel-x86-1"

	MaxName     = 63 // bytes of the name of a host, a VM or a pool
	MaxManifest = 1 << 20
	MaxEntries  = 4096      // of the archive
	MaxFile     = 1<<33 - 1 // what ustar's size field can say
	MaxVMs      = 256
	MaxCPUs     = 8
	MinMemory   = 4 << 20
	MaxMemory   = 1 << 40
	MemoryUnit  = 4 << 10 // memory is a multiple of it
	MaxModules  = 16
	MaxCmdline  = 2047 // Linux: COMMAND_LINE_SIZE less its NUL
	MaxLabels   = 64
	MaxOrder    = 9999
	MaxDuration = 24 * time.Hour
)

// Document is keel.json.
type Document struct {
	APIVersion string              `json:"apiVersion"`
	Host       Host                `json:"host"`
	VMs        []VM                `json:"vms,omitempty"`
	Files      map[string]FileInfo `json:"files,omitempty"` // by the entry's name in the archive
}

// FileInfo says what the archive's entry of that name must be.
type FileInfo struct {
	Size   int64  `json:"size"`   // bytes
	SHA256 string `json:"sha256"` // 64 lower-case hexadecimal digits
}

// Host is the host's own section.
type Host struct {
	Name       string     `json:"name"`
	WhenIdle   WhenIdle   `json:"whenIdle"`
	OnPanic    OnPanic    `json:"onPanic"`
	Log        HostLog    `json:"log"`
	Management Management `json:"management,omitzero"`
	Trust      Trust      `json:"trust"`
	Audit      Audit      `json:"audit,omitzero"`
	Pools      []Pool     `json:"pools,omitempty"` // parents first; at most MaxPools
}

// WhenIdle is what the host does once its last VM has stopped.
type WhenIdle string

const (
	IdleStay     WhenIdle = "stay"
	IdlePowerOff WhenIdle = "poweroff"
)

// OnPanic is what the host does after a fatal fault.
type OnPanic string

const (
	PanicRestart OnPanic = "restart"
	PanicHalt    OnPanic = "halt"
)

// HostLog sets the host's log.
type HostLog struct {
	Level string `json:"level"` // debug, info, warn or error
}

// VM is one virtual machine. A VM that Parse returns is complete: defaults are filled in and every value is in range.
//
// StopTimeout is how long a stop by the host is to wait for the guest, whose power button it has pressed,
// before it ends the VM. In this version only the guest itself stops a VM, so nothing waits for it yet.
type VM struct {
	Name        string            `json:"name"` // [a-z0-9-]{1,63}, unique in the seed
	ID          string            `json:"id"`   // UUID in lower case, unique in the seed
	Machine     string            `json:"machine"`
	CPU         CPU               `json:"cpu"`
	Memory      Memory            `json:"memory"`
	Boot        Boot              `json:"boot"`
	Serial      []Serial          `json:"serial,omitempty"`
	Autostart   Autostart         `json:"autostart"`
	OnPowerOff  Action            `json:"onPowerOff"`
	OnReboot    Action            `json:"onReboot"`
	OnCrash     Action            `json:"onCrash"`
	StopTimeout Duration          `json:"stopTimeout"` // 30s if absent
	Labels      map[string]string `json:"labels,omitempty"`
	Debug       Debug             `json:"debug,omitzero"`
}

// CPU is a VM's processors.
type CPU struct {
	Count     int    `json:"count"` // 1..MaxCPUs
	Model     string `json:"model"`
	Share            // in thousandths of a logical processor
	Affinity  []int  `json:"affinity,omitempty"`  // the logical processors that it may run on, ascending; none: all
	Exclusive bool   `json:"exclusive,omitempty"` // nobody else runs on those, or on count that the host picks where none are named
	Pool      string `json:"pool,omitempty"`      // a Pool's name; empty: the host itself
}

// Memory is a VM's memory.
type Memory struct {
	Size  uint64 `json:"size"` // bytes: MinMemory..MaxMemory, a multiple of MemoryUnit
	Share        // in bytes
	Pool  string `json:"pool,omitempty"` // as in CPU
}

// Boot says how a VM starts.
type Boot struct {
	Firmware string `json:"firmware"` // direct
	Direct   Direct `json:"direct"`
}

// Direct starts a kernel without firmware: a Linux bzImage, an ELF file with a PVH note, or a multiboot kernel. The
// kernel's format is recognised when the VM starts. File names are entries of the archive.
type Direct struct {
	Kernel  string   `json:"kernel"`
	Initrd  string   `json:"initrd,omitempty"`
	Cmdline string   `json:"cmdline,omitempty"` // printable, at most MaxCmdline bytes
	Modules []Module `json:"modules,omitempty"` // for multiboot kernels: after the initrd, at most MaxModules
}

// Module is a further file for a multiboot kernel.
type Module struct {
	File    string `json:"file"`
	Cmdline string `json:"cmdline,omitempty"`
}

// Serial is one serial port. A VM has those that are listed and no others.
type Serial struct {
	Name string    `json:"name"` // ttyS0..ttyS3, that is COM1..COM4
	Log  SerialLog `json:"log"`
}

// SerialLog is where complete lines of a serial port are copied to.
type SerialLog string

const (
	LogNone SerialLog = "none"
	LogHost SerialLog = "host"
)

// Autostart says whether and when a VM starts at the host's boot.
type Autostart struct {
	Enabled bool     `json:"enabled"` // true if absent
	Order   int      `json:"order"`   // 0..MaxOrder, lowest first; equals start in the seed's order
	Delay   Duration `json:"delay"`   // waited before this VM starts
}

// Action is what follows when a VM has powered off, rebooted or crashed.
type Action string

const (
	Stop    Action = "stop"
	Restart Action = "restart"
	Delete  Action = "delete"
)

// Debug is for test guests only.
type Debug struct {
	ExitPort uint16 `json:"exitPort,omitempty"` // a write to it stops the VM with that value as the reason; 0: none
}

// Duration is a time.Duration that is text in JSON, such as "30s".
type Duration time.Duration

func (d Duration) String() string               { return time.Duration(d).String() }
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText is for clients that read what a host says; it takes any time.Duration.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	*d = Duration(v)
	return err
}
