package vm

import (
	"errors"
	"strings"
	"testing"
	"time"

	"keel/arch/amd64/virt"
	"keel/vmkernel/datastore"
	"keel/vmkernel/linux"
	"keel/vmkernel/seed"
	"keel/vmkernel/sys"
	"keel/vmkernel/vm/guestmem"
)

func TestEveryStopHasItsReason(t *testing.T) {
	for _, c := range []struct {
		name, want string
		run        func(p *sys.VCPUPage) linux.Errno
	}{
		{"S5", `reason=power-off`, func(p *sys.VCPUPage) linux.Errno { return out(p, 0x604, 2, 1<<13|5<<10) }},
		{"ACPI reset", `reason="reboot (acpi reset)"`, func(p *sys.VCPUPage) linux.Errno { return out(p, 0xCF9, 1, 6) }},
		{"keyboard controller", `reason="reboot (keyboard controller)"`, func(p *sys.VCPUPage) linux.Errno { return out(p, 0x64, 1, 0xFE) }},
		{"triple fault", `reason="reboot (triple fault)"`, func(p *sys.VCPUPage) linux.Errno {
			p.State.Exit = virt.Exit{Kind: virt.KindTripleFault}
			return 0
		}},
		{"exit port", `reason="exit code 3000000000"`, func(p *sys.VCPUPage) linux.Errno { return out(p, 0xF4, 4, 3_000_000_000) }},
		{"unknown exit", `reason="crash: unhandled exit (unknown, reason 0x4d, qualification 0x12) at 0x1234"`, func(p *sys.VCPUPage) linux.Errno {
			p.State.RIP = 0x1234
			p.State.Exit = virt.Exit{Kind: virt.KindUnknown, Reason: 77, Qual: 0x12}
			return 0
		}},
		{"kind from nowhere", `reason="crash: unhandled exit (kind4000000000, `, func(p *sys.VCPUPage) linux.Errno {
			p.State.Exit = virt.Exit{Kind: 4_000_000_000}
			return 0
		}},
		{"refused entry", `reason="crash: the processor refused the guest's state: CR4: VMXE is 0"`, func(p *sys.VCPUPage) linux.Errno {
			copy(p.Message[:], "CR4: VMXE is 0\x00rest")
			p.State.Exit = virt.Exit{Kind: virt.KindFailedEntry}
			return 0
		}},
		{"message without end", `reason="crash: the processor refused the guest's state: ` + strings.Repeat("x", 256) + `"`, func(p *sys.VCPUPage) linux.Errno {
			copy(p.Message[:], strings.Repeat("x", 256))
			p.State.Exit = virt.Exit{Kind: virt.KindFailedEntry}
			return 0
		}},
		{"exception", `reason="crash: exception 8, error code 0x7, left the guest at 0x9"`, func(p *sys.VCPUPage) linux.Errno {
			p.State.RIP = 9
			p.State.Exit = virt.Exit{Kind: virt.KindException, Vector: 8, ErrCode: 7}
			return 0
		}},
		{"vmrun refuses", `reason="crash: virtual processor 0 can't run: device or resource busy"`, func(p *sys.VCPUPage) linux.Errno { return linux.EBUSY }},
		{"undecodable", `reason="crash: mmio:`, func(p *sys.VCPUPage) linux.Errno {
			p.State.Exit = virt.Exit{Kind: virt.KindMMIO, GPA: 0xD000_0000}
			p.State.RIP = 0x200000
			return 0
		}},
		{"panic", `reason="crash: panic in a device model: `, func(p *sys.VCPUPage) linux.Errno {
			panic("broken")
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFake(nil)
			f.run = func(m *fakeMachine, p *sys.VCPUPage, _ uint64, _ virt.Event) linux.Errno {
				if c.name == "undecodable" {
					copy(m.low[0x200000:], "\x0f\x01\x00") // SGDT [EAX]
				}
				return c.run(p)
			}
			log := runAll(t, f, spec("demo"))
			wantLines(t, log, `level=INFO msg="vm started" vm=demo`, `level=INFO msg="vm stopped" vm=demo `+c.want, `msg="vm figures" vm=demo`)
			if crash := strings.Contains(c.want, "crash"); crash && c.name != "panic" {
				wantLines(t, log, `msg="vm registers" vm=demo vcpu=0 rip=`, `msg="vm segments"`, `msg="vm control"`, `msg="vm exit"`)
			} else if strings.Contains(log, "vm registers") {
				t.Errorf("registers without a crash:\n%s", log)
			}
		})
	}
}

func TestVMStartsAtItsKernelsEntry(t *testing.T) {
	f := newFake(func(m *fakeMachine, p *sys.VCPUPage, flags uint64, _ virt.Event) linux.Errno {
		s := &p.State
		switch {
		case flags != sys.RunSetState:
			t.Errorf("flags %#x", flags)
		case s.RIP != kernelEntry || s.CR0 != 0x11 || s.GPR[virt.RAX] != 0x2BADB002 || s.EFER != 0:
			t.Errorf("RIP %#x CR0 %#x RAX %#x EFER %#x", s.RIP, s.CR0, s.GPR[virt.RAX], s.EFER)
		case s.Seg[virt.CS].Attr != 0xC09B || s.Seg[virt.TR].Attr&0xFF != 0x8B || s.Seg[virt.LDTR].Attr&(1<<16) == 0:
			t.Errorf("segments %+v", s.Seg)
		case s.RFLAGS != 2 || s.DR7 != 0x400 || s.IDTR.Limit != 0:
			t.Errorf("RFLAGS %#x DR7 %#x IDTR %+v", s.RFLAGS, s.DR7, s.IDTR)
		case m.cfg.VCPUs != 2 || m.cfg.Memory != 4<<20 || m.cfg.NCPUID == 0 || m.cfg.KVMClock != 0:
			t.Errorf("VCPUs %d, memory %d, %d CPUID entries, kvmclock %d", m.cfg.VCPUs, m.cfg.Memory, m.cfg.NCPUID, m.cfg.KVMClock)
		case string(m.low[0xE0000:0xE0008]) != "RSD PTR ":
			t.Error("no ACPI tables")
		case m.low[0x100003] != 0x1B:
			t.Error("no kernel")
		}
		return out(p, 0x604, 2, 1<<13|5<<10)
	})
	runAll(t, f, spec("demo"))
}

func TestPoliciesSayWhatFollows(t *testing.T) {
	off := func(p *sys.VCPUPage) { out(p, 0x604, 2, 1<<13|5<<10) }
	reboot := func(p *sys.VCPUPage) { out(p, 0xCF9, 1, 6) }
	crash := func(p *sys.VCPUPage) { p.State.Exit = virt.Exit{} }
	exit := func(p *sys.VCPUPage) { out(p, 0xF4, 1, 7) }
	for _, c := range []struct {
		name    string
		set     func(s *seed.VM)
		first   func(p *sys.VCPUPage)
		started int
		deleted bool
	}{
		{"power-off stops", func(s *seed.VM) {}, off, 1, false},
		{"power-off restarts", func(s *seed.VM) { s.OnPowerOff = seed.Restart }, off, 2, false},
		{"power-off deletes", func(s *seed.VM) { s.OnPowerOff = seed.Delete }, off, 1, true},
		{"reboot restarts", func(s *seed.VM) { s.OnReboot = seed.Restart }, reboot, 2, false},
		{"reboot stops", func(s *seed.VM) {}, reboot, 1, false},
		{"crash restarts", func(s *seed.VM) { s.OnCrash = seed.Restart }, crash, 2, false},
		{"crash deletes", func(s *seed.VM) { s.OnCrash = seed.Delete }, crash, 1, true},
		{"exit code always stops", func(s *seed.VM) { s.OnPowerOff, s.OnReboot, s.OnCrash = seed.Restart, seed.Restart, seed.Restart }, exit, 1, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := newFake(nil)
			f.run = func(m *fakeMachine, p *sys.VCPUPage, _ uint64, _ virt.Event) linux.Errno {
				for i := range m.low[0x200000:] {
					if m.low[0x200000+i] != 0 {
						t.Error("memory isn't fresh")
						break
					}
				}
				m.low[0x200000] = 1
				if m == f.machines[0] {
					c.first(p)
				} else {
					exit(p)
				}
				return 0
			}
			s := spec("demo")
			c.set(&s)
			m, r := newManager(f)
			create(t, m, s)
			m.Autostart(t.Context())
			m.WaitIdle()
			if n := strings.Count(r.String(), `msg="vm started"`); n != c.started {
				t.Errorf("started %d times, want %d:\n%s", n, c.started, r)
			}
			if _, err := m.Find("demo"); errors.Is(err, ErrNotFound) != c.deleted {
				t.Errorf("deleted: %v", err)
			}
		})
	}
}

func TestWhatCannotStartIsOneLineAndOthersRun(t *testing.T) {
	powerOff := func(m *fakeMachine, p *sys.VCPUPage, _ uint64, _ virt.Event) linux.Errno {
		return out(p, 0x604, 2, 1<<13|5<<10)
	}
	for _, c := range []struct {
		name, want string
		kind       error
		set        func(f *fake, s *seed.VM)
	}{
		{"more memory than there is", "memory of 2GiB is more than the 967MiB that the host has left", ErrNoMemory,
			func(f *fake, s *seed.VM) { s.Memory.Size = 2 << 30 }},
		{"the memory that the host needs", "memory of 1008MiB is more than the 971MiB that the host has left", ErrNoMemory,
			func(f *fake, s *seed.VM) { s.Memory.Size = 1008 << 20 }},
		{"not the file it was", `file \"changed\" is damaged`, datastore.ErrInvalid, func(f *fake, s *seed.VM) { s.Boot.Direct.Initrd = "changed" }},
		{"no kernel", "loader:", ErrImage, func(f *fake, s *seed.VM) { s.Boot.Direct.Kernel = "nonsense" }},
		{"exit port on the UART", "overlaps ttyS0", ErrInvalid, func(f *fake, s *seed.VM) { s.Debug.ExitPort = 0x3FA }},
		{"exit port on the PIT", "overlaps 8254", ErrInvalid, func(f *fake, s *seed.VM) { s.Debug.ExitPort = 0x40 }},
		{"serial port twice", "overlaps ttyS0", ErrInvalid, func(f *fake, s *seed.VM) { s.Serial[1].Name = "ttyS0" }},
		{"serial port that isn't", `no serial port \"ttyS9\"`, ErrInvalid, func(f *fake, s *seed.VM) { s.Serial[1].Name = "ttyS9" }},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFake(powerOff)
			bad := spec("bad")
			c.set(f, &bad)
			all := files()
			all["nonsense"] = &seed.File{Name: "nonsense", Data: make([]byte, 4096)}
			all["changed"] = &seed.File{Name: "changed", Data: []byte("x"), Info: all["kernel"].Info}
			all["nonsense"].Info.SHA256 = "ad7facb2586fc6e966c004d7d1d16b024f5805ff7cb47c7a85dabd8b48892ca7"
			all["nonsense"].Info.Size = 4096
			m, r := newManager(f)
			m.images = store(all)
			v := create(t, m, bad)
			m.Autostart(t.Context())
			m.WaitIdle()
			if err := create(t, m, spec("good")).Start(t.Context()); err != nil {
				t.Error(err)
			}
			m.WaitIdle()
			wantLines(t, r.String(), `level=ERROR msg="vm not started" vm=bad error=`, c.want, `msg="vm stopped" vm=good reason=power-off`)
			if n := strings.Count(r.String(), "vm=bad"); n != 1 {
				t.Errorf("%d lines about it:\n%s", n, r)
			}
			for i, m := range f.machines {
				if !m.destroyed {
					t.Errorf("machine %d was not destroyed", i)
				}
			}
			if err := v.Start(t.Context()); !errors.Is(err, c.kind) {
				t.Errorf("%v is not of the kind %v", err, c.kind)
			}
		})
	}
}

func TestGuestsLinesAreTheirsAndNobodyElses(t *testing.T) {
	text := "hello\r\n\x1b[2J\nlevel=ERROR msg=forged\nend without a line end"
	i := 0
	f := newFake(func(m *fakeMachine, p *sys.VCPUPage, _ uint64, _ virt.Event) linux.Errno {
		if i == len(text) {
			return out(p, 0x604, 2, 1<<13|5<<10)
		}
		i++
		return out(p, 0x3F8, 1, uint32(text[i-1]))
	})
	log := runAll(t, f, spec("demo"))
	wantLines(t, log, "demo| hello\ndemo| \\x1b[2J\ndemo| level=ERROR msg=forged\ndemo| end without a line end\n")
	if strings.Index(log, "end without") > strings.Index(log, "vm stopped") {
		t.Error("the last line comes after the end")
	}
}

func TestPortReadsChangeNoMoreThanTheirPart(t *testing.T) {
	step := 0
	want := []uint64{0x1122_3344_5566_77FF, 0x1122_3344_5566_FFFF, 0xFFFF_FFFF}
	f := newFake(func(m *fakeMachine, p *sys.VCPUPage, flags uint64, _ virt.Event) linux.Errno {
		s := &p.State
		if step > 0 && s.GPR[virt.RAX] != want[step-1] {
			t.Errorf("IN of %d bytes: RAX %#x, want %#x", 1<<(step-1), s.GPR[virt.RAX], want[step-1])
		}
		if step > 0 && flags != 0 {
			t.Errorf("flags %#x: RIP and state are the lower half's", flags)
		}
		if step == len(want) {
			return out(p, 0x604, 2, 1<<13|5<<10)
		}
		s.GPR[virt.RAX] = 0x1122_3344_5566_7788
		s.Exit = virt.Exit{Kind: virt.KindIO, In: true, Port: 0x5000, Size: 1 << step}
		step++
		return 0
	})
	runAll(t, f, spec("demo"))
}

func TestUARTsShareTheirInterrupt(t *testing.T) {
	const ierTHRE = 2
	step := 0
	f := newFake(func(m *fakeMachine, p *sys.VCPUPage, _ uint64, _ virt.Event) linux.Errno {
		step++
		switch step {
		case 1:
			return out(p, 0x3F9, 1, ierTHRE)
		case 2:
			return out(p, 0x3E9, 1, ierTHRE)
		case 3:
			if !m.lines[4] || m.lines[3] {
				t.Errorf("lines %v", m.lines)
			}
			return out(p, 0x3F9, 1, 0)
		case 4:
			if !m.lines[4] {
				t.Error("ttyS0 has let go of the line that ttyS2 holds")
			}
			return out(p, 0x3E9, 1, 0)
		}
		if m.lines[4] {
			t.Error("nobody holds the line")
		}
		return out(p, 0x604, 2, 1<<13|5<<10)
	})
	runAll(t, f, spec("demo"))
}

func TestAutostartKeepsOrder(t *testing.T) {
	f := newFake(func(m *fakeMachine, p *sys.VCPUPage, _ uint64, _ virt.Event) linux.Errno {
		return out(p, 0x604, 2, 1<<13|5<<10)
	})
	list := []seed.VM{spec("late"), spec("first"), spec("second"), spec("never")}
	list[0].Autostart.Order = 9
	list[0].Autostart.Delay = seed.Duration(50 * time.Millisecond)
	list[3].Autostart.Enabled = false
	log := runAll(t, f, list...)
	first, second, late := strings.Index(log, "vm=first"), strings.Index(log, "vm=second"), strings.Index(log, "vm=late")
	if first < 0 || second < first || late < second || strings.Contains(log, "vm=never") {
		t.Errorf("out of order:\n%s", log)
	}
}

func TestIdleWithoutVMs(t *testing.T) {
	m, _ := newManager(newFake(nil))
	m.Autostart(t.Context())
	m.WaitIdle()
}

func TestFiguresAddUp(t *testing.T) {
	f := newFake(func(m *fakeMachine, p *sys.VCPUPage, _ uint64, _ virt.Event) linux.Errno {
		p.First, p.Ticks, p.Outside = 400, 500, 60
		m.pages[1].Ticks, m.pages[1].Outside = 7, 8
		p.Exits[virt.KindCPUID], m.pages[1].Exits[virt.KindCPUID] = 3, 4
		p.Exits[virt.KindIO] = 1
		return out(p, 0x604, 2, 1<<13|5<<10)
	})
	log := runAll(t, f, spec("demo"))
	wantLines(t, log, `msg="vm figures" vm=demo total=600 guest=507 outside=68 memory.resident=0 memory.large=0 memory.overhead=1048576 memory.node=0 exits.cpuid=7 exits.io=1 used=12MiB`+"\n")
}

func TestEveryKindHasAName(t *testing.T) {
	seen := map[string]bool{}
	for k, name := range kindNames {
		if name == "" || seen[name] {
			t.Errorf("kind %d: %q", k, name)
		}
		seen[name] = true
	}
}

func TestMemoryAboveTheHoleIsTheGuests(t *testing.T) {
	f := newFake(nil)
	f.free = 8 << 30
	in := testInstance(t, f, 3<<30+16<<20)
	if in.memory.Ranges() != 2 || in.memory.Size() != 3<<30+16<<20 {
		t.Errorf("%d ranges, %#x bytes", in.memory.Ranges(), in.memory.Size())
	}
	if err := in.memory.Write8(guestmem.HighStart+16<<20-1, 1); err != nil {
		t.Error(err)
	}
}
