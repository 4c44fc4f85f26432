package vm

import (
	"bytes"
	"encoding/binary"
	"log/slog"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"keel/arch/amd64/virt"
	"keel/vmkernel/datastore"
	"keel/vmkernel/linux"
	"keel/vmkernel/seed"
	"keel/vmkernel/sys"
	"keel/vmkernel/vm/guestmem"
)

// A fake is a Backend whose guest is a function of the test: run is called for each Run of virtual
// processor 0 of a machine, and leaves an exit in the page. The others wait until they are kicked.
type fake struct {
	free     uint64
	nodes    sys.Nodes
	creates  func() // called by Create, unless it is nil
	populate error  // what Populate returns
	run      func(m *fakeMachine, p *sys.VCPUPage, flags uint64, event virt.Event) linux.Errno

	mu        sync.Mutex
	machines  []*fakeMachine
	pools     []sys.CPUPolicy
	refuseCPU error    // of SetCPU
	late      []string // what was done to a destroyed machine
}

type fakeMachine struct {
	cfg       sys.VMConfig
	cpu       sys.CPUPolicy // that SetCPU gave it
	runs      int
	paused    bool
	running   bool // virtual processor 0
	low, high []byte
	resident  uint64 // of its memory: the pages in there
	there     map[uint64]bool
	granted   uint64 // set aside
	most      uint64 // that resident and granted were after a grant
	reserved  uint64
	backed    []uint64
	touched   uint64 // what Sample finds
	pages     []*sys.VCPUPage
	kicks     []chan struct{}
	destroyed bool
	released  uint64
	populated []uint64
	lines     [24]bool
	nmis      int
	registers map[uint64]uint32
	ports     map[uint16]uint32
}

func newFake(run func(m *fakeMachine, p *sys.VCPUPage, flags uint64, event virt.Event) linux.Errno) *fake {
	return &fake{free: 1 << 30, run: run}
}

func (f *fake) machine(h sys.VMHandle, what string) *fakeMachine {
	f.mu.Lock()
	defer f.mu.Unlock()
	m := f.machines[h]
	if m.destroyed {
		f.late = append(f.late, what)
	}
	return m
}

func (f *fake) Create(c *sys.VMConfig) (sys.VMHandle, error) {
	if f.creates != nil {
		f.creates()
	}
	low, high := guestmem.Split(c.Memory)
	m := &fakeMachine{cfg: *c, low: ram(low), high: ram(high), there: map[uint64]bool{}, registers: map[uint64]uint32{}, ports: map[uint16]uint32{}}
	for range c.VCPUs {
		m.pages = append(m.pages, &sys.VCPUPage{})
		m.kicks = append(m.kicks, make(chan struct{}, 1))
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.machines = append(f.machines, m)
	return sys.VMHandle(len(f.machines) - 1), nil
}

// ram is n bytes that take room only where they are touched; large ones are never given back.
func ram(n uint64) []byte {
	if n < 64<<20 {
		return make([]byte, n)
	}
	b, err := syscall.Mmap(-1, 0, int(n), syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_PRIVATE|syscall.MAP_ANON|syscall.MAP_NORESERVE)
	if err != nil {
		panic(err)
	}
	return b
}

func (f *fake) Memory(h sys.VMHandle) (low, high []byte, err error) {
	m := f.machine(h, "Memory")
	return m.low, m.high, nil
}

func (f *fake) Page(h sys.VMHandle, cpu int) (*sys.VCPUPage, error) {
	return f.machine(h, "Page").pages[cpu], nil
}

func (f *fake) Destroy(h sys.VMHandle) error {
	m := f.machine(h, "Destroy")
	f.mu.Lock()
	defer f.mu.Unlock()
	m.destroyed = true
	f.free += m.resident + m.granted
	m.resident, m.granted = 0, 0
	return nil
}

// Release takes pages back, of which those count that were there.
func (f *fake) Release(h sys.VMHandle, ranges []sys.Range) (n uint64, err error) {
	m := f.machine(h, "Release")
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, r := range ranges {
		n += r.Bytes
		for at := r.GPA; at < r.GPA+r.Bytes; at += 4096 {
			if m.there[at] {
				delete(m.there, at)
				m.resident -= 4096
				if m.resident+m.granted < m.reserved {
					m.granted += 4096
				} else {
					f.free += 4096
				}
			}
		}
	}
	m.released += n
	return n, nil
}

func (f *fake) Populate(h sys.VMHandle, gpa uint64, whole bool) error {
	m := f.machine(h, "Populate")
	f.mu.Lock()
	defer f.mu.Unlock()
	switch gpa &^= 4095; {
	case f.populate != nil:
		return f.populate
	case m.there[gpa]:
		return nil
	case m.granted < 4096:
		return linux.ENOMEM
	}
	m.populated = append(m.populated, gpa)
	m.there[gpa] = true
	m.granted, m.resident = m.granted-4096, m.resident+4096
	return nil
}

func (f *fake) Back(h sys.VMHandle, gpa uint64) (bool, error) {
	m := f.machine(h, "Back")
	m.backed = append(m.backed, gpa)
	return len(m.backed)%2 != 0, nil
}

func (f *fake) Grant(h sys.VMHandle, bytes int64) (uint64, error) {
	m := f.machine(h, "Grant")
	f.mu.Lock()
	defer f.mu.Unlock()
	if bytes > 0 && uint64(bytes) > f.free {
		return 0, linux.ENOMEM
	}
	if bytes < 0 {
		bytes = -int64(min(uint64(-bytes), m.granted, m.resident+m.granted-min(m.reserved, m.resident+m.granted)))
	}
	f.free -= uint64(bytes)
	m.granted += uint64(bytes)
	m.most = max(m.most, m.resident+m.granted)
	return m.resident + m.granted, nil
}

func (f *fake) Reserve(h sys.VMHandle, bytes uint64) error {
	m := f.machine(h, "Reserve")
	f.mu.Lock()
	defer f.mu.Unlock()
	more := bytes - min(bytes, m.resident+m.granted)
	if more > f.free {
		return linux.ENOMEM
	}
	f.free -= more
	m.granted += more
	m.reserved = bytes
	return nil
}

func (f *fake) Sample(h sys.VMHandle) (seen, touched uint64, last bool, err error) {
	m := f.machine(h, "Sample")
	f.mu.Lock()
	defer f.mu.Unlock()
	return m.resident, m.touched, true, nil
}

func (f *fake) MemoryUse(h sys.VMHandle) (sys.MemoryUse, error) {
	m := f.machine(h, "MemoryUse")
	f.mu.Lock()
	defer f.mu.Unlock()
	return sys.MemoryUse{Resident: m.resident, Granted: m.granted, Overhead: 1 << 20}, nil
}

func (f *fake) Processors() int { return 4 }

func (f *fake) CreatePool(p *sys.CPUPolicy) (sys.Pool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.pools = append(f.pools, *p)
	return sys.Pool(len(f.pools)), nil
}

func (f *fake) SetPool(id sys.Pool, p *sys.CPUPolicy) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.refuseCPU != nil {
		return f.refuseCPU
	}
	f.pools[id-1] = *p
	return nil
}

func (f *fake) PoolStats(id sys.Pool, s *sys.PoolStats) error {
	*s = sys.PoolStats{Used: 100 * uint64(id)}
	if id == sys.SystemPool {
		*s = sys.PoolStats{Used: 7, Paced: 1}
	}
	return nil
}

func (f *fake) SetCPU(h sys.VMHandle, p *sys.CPUPolicy) error {
	m := f.machine(h, "SetCPU")
	f.mu.Lock()
	defer f.mu.Unlock()
	m.cpu = *p
	return f.refuseCPU
}

func (f *fake) VCPUStats(h sys.VMHandle, cpu int, s *sys.WorldStats) error {
	m := f.machine(h, "VCPUStats")
	f.mu.Lock()
	defer f.mu.Unlock()
	*s = sys.WorldStats{State: sys.WorldBlocked, Used: 1000, Ready: 10, Limited: 1, Stolen: 11, MaxReady: uint64(cpu)}
	if cpu == 0 && m.running {
		s.State = sys.WorldRunning
	}
	return nil
}

// Pause is what it says in package sys.
func (f *fake) Pause(h sys.VMHandle, on bool) error {
	m := f.machine(h, "Pause")
	f.mu.Lock()
	m.paused = on
	f.mu.Unlock()
	if on { // out of guest mode
		f.Kick(h, 0)
	}
	return nil
}

// enter says whether virtual processor 0 may run now, and that it does.
func (f *fake) enter(m *fakeMachine) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	m.running = !m.paused
	return m.running
}

func (f *fake) leave(m *fakeMachine) {
	f.mu.Lock()
	m.running = false
	f.mu.Unlock()
}

func (f *fake) Nodes() *sys.Nodes { return &f.nodes }

func (f *fake) Run(h sys.VMHandle, cpu int, flags uint64, event virt.Event, block bool) linux.Errno {
	m := f.machine(h, "Run")
	p := m.pages[cpu]
	if cpu == 0 && f.run != nil {
		for !f.enter(m) {
			select {
			case <-m.kicks[cpu]:
				p.State.Exit = virt.Exit{Kind: virt.KindNop}
				return 0
			case <-time.After(time.Millisecond):
			}
		}
		defer f.leave(m)
		m.runs++
		p.Last += 1000
		return f.run(m, p, flags, event)
	}
	<-m.kicks[cpu]
	p.State.Exit = virt.Exit{Kind: virt.KindNop}
	return 0
}

func (f *fake) RunBriefly(h sys.VMHandle, cpu int, flags uint64, event virt.Event) int64 {
	return -int64(f.Run(h, cpu, flags, event, false))
}

func (f *fake) Kick(h sys.VMHandle, cpu int) error {
	select {
	case f.machine(h, "Kick").kicks[cpu] <- struct{}{}:
	default:
	}
	return nil
}

func (f *fake) NMI(h sys.VMHandle) error {
	f.machine(h, "NMI").nmis++
	return nil
}

func (f *fake) Line(h sys.VMHandle, gsi uint8, level bool) { f.machine(h, "Line").lines[gsi] = level }

func (f *fake) ReadRegister(h sys.VMHandle, cpu int, gpa uint64) uint32 {
	return f.machine(h, "ReadRegister").registers[gpa]
}

func (f *fake) WriteRegister(h sys.VMHandle, cpu int, gpa uint64, v uint32) {
	f.machine(h, "WriteRegister").registers[gpa] = v
}

func (f *fake) ReadPort(h sys.VMHandle, port uint16, size int) uint32 {
	return f.machine(h, "ReadPort").ports[port] & (1<<(8*size) - 1)
}

func (f *fake) WritePort(h sys.VMHandle, port uint16, size int, v uint32) {
	f.machine(h, "WritePort").ports[port] = v
}

func (f *fake) FreeMemory() uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.free
}

func (f *fake) UsedMemory() uint64 { return 12 << 20 }

// out is the exit of an OUT.
func out(p *sys.VCPUPage, port uint16, size uint8, v uint32) linux.Errno {
	p.State.Exit = virt.Exit{Kind: virt.KindIO, Port: port, Size: size, Len: 2}
	p.State.GPR[virt.RAX] = uint64(v)
	return 0
}

// kernelEntry is where the test kernel starts.
const kernelEntry = 0x100020

// files holds the smallest kernel there is: a multiboot header that says where it wants to be.
func files() map[string]*seed.File {
	kernel := make([]byte, 64)
	const magic, addresses, base = 0x1BADB002, 1 << 16, 0x100000
	for i, w := range []uint32{magic, addresses, -(magic + addresses) & 0xFFFF_FFFF, base, base, 0, 0, kernelEntry} {
		binary.LittleEndian.PutUint32(kernel[4*i:], w)
	}
	info, err := seed.Describe(bytes.NewReader(kernel))
	if err != nil {
		panic(err)
	}
	return map[string]*seed.File{"kernel": {Name: "kernel", Data: kernel, Info: info}}
}

// spec is a VM of 4 MiB with the test kernel.
func spec(name string) seed.VM {
	return seed.VM{
		Name: name, CPU: seed.CPU{Count: 2, Model: seed.CPUModel}, Memory: seed.Memory{Size: 4 << 20},
		Boot:       seed.Boot{Firmware: "direct", Direct: seed.Direct{Kernel: "kernel"}},
		Serial:     []seed.Serial{{Name: "ttyS0", Log: seed.LogHost}, {Name: "ttyS2", Log: seed.LogNone}},
		Autostart:  seed.Autostart{Enabled: true},
		OnPowerOff: seed.Stop, OnReboot: seed.Stop, OnCrash: seed.Stop,
		Debug: seed.Debug{ExitPort: 0xF4},
	}
}

// A record is a host's console: log lines and guests' lines, and whether each came in one Write.
type record struct {
	mu     sync.Mutex
	text   strings.Builder
	broken bool
}

func (r *record) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if bytes.Count(p, []byte("\n")) != 1 || !bytes.HasSuffix(p, []byte("\n")) {
		r.broken = true
	}
	return r.text.Write(p)
}

func (r *record) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.String()
}

// newManager is a Manager on f whose console is the record.
func newManager(f *fake) (*Manager, *record) {
	r := &record{}
	log := slog.New(slog.NewTextHandler(r, nil))
	host := Host{Virt: sys.VirtVTX, TSCHz: 1_000_000_000, CPUID: func(leaf, sub uint32) (a, b, c, d uint32) {
		return ^uint32(0), ^uint32(0), ^uint32(0), ^uint32(0)
	}}
	return NewManager(f, host, log, r, store(files())), r
}

// store is a datastore with the files.
func store(files map[string]*seed.File) *datastore.Memory {
	m := datastore.NewMemory(1<<20, nil)
	for _, f := range files {
		if err := m.AddFile(f); err != nil {
			panic(err)
		}
	}
	return m
}

// create is m.Create of a VM that must be possible.
func create(t *testing.T, m *Manager, spec seed.VM) *VM {
	t.Helper()
	v, created, err := m.Create(spec)
	if err != nil || !created {
		t.Fatalf("created %v: %v", created, err)
	}
	return v
}

// runAll adds the VMs, starts them and waits until all have stopped.
func runAll(t *testing.T, f *fake, vms ...seed.VM) string {
	t.Helper()
	m, r := newManager(f)
	for _, v := range vms {
		create(t, m, v)
	}
	done := make(chan struct{})
	go func() {
		m.Autostart(t.Context())
		m.WaitIdle()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		t.Fatalf("the host isn't idle:\n%s", r)
	}
	if r.broken {
		t.Errorf("a line was written in parts:\n%s", r)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for i, m := range f.machines {
		if !m.destroyed {
			t.Errorf("machine %d was not destroyed", i)
		}
	}
	if f.late != nil {
		t.Errorf("done to a destroyed machine: %v", f.late)
	}
	return r.String()
}

func wantLines(t *testing.T, log string, want ...string) {
	t.Helper()
	for _, w := range want {
		if !strings.Contains(log, w) {
			t.Errorf("no %q in the log:\n%s", w, log)
		}
	}
}
