package mmio

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/arch/x86/x86asm"
)

const (
	codeAt   = 0x1000
	deviceAt = 0xfeb00000
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// registers to set or expect, by index into GPR.
type regs map[int]uint64

// Each case executes code with RSI (and RDI for strings) at the device, in
// flat memory without paging, and expects the device's accesses and all
// registers. asm is what the code must decode to.
var instructions = []struct {
	mode   Mode
	code   string
	asm    string
	before regs
	device uint64
	log    string
	after  regs // that differ from before
	flags  uint64
}{
	// MOV from memory.
	{64, "8b06", "mov eax, dword ptr [rsi]", regs{0: ^uint64(0)}, 0x1122334455667788, "r4 feb00000", regs{0: 0x55667788}, 0},
	{64, "488b06", "mov rax, qword ptr [rsi]", nil, 0x1122334455667788, "r8 feb00000", regs{0: 0x1122334455667788}, 0},
	{64, "668b06", "mov ax, word ptr [rsi]", regs{0: ^uint64(0)}, 0x1234, "r2 feb00000", regs{0: 0xffffffffffff1234}, 0},
	{64, "8a06", "mov al, byte ptr [rsi]", regs{0: ^uint64(0)}, 0x12, "r1 feb00000", regs{0: 0xffffffffffffff12}, 0},
	{64, "8a26", "mov ah, byte ptr [rsi]", regs{0: ^uint64(0)}, 0x12, "r1 feb00000", regs{0: 0xffffffffffff12ff}, 0},
	{64, "408a26", "mov spl, byte ptr [rsi]", regs{4: 0x1000}, 0x12, "r1 feb00000", regs{4: 0x1012}, 0},
	{64, "448a3e", "mov r15b, byte ptr [rsi]", regs{15: 0x1000}, 0x12, "r1 feb00000", regs{15: 0x1012}, 0},
	{64, "448b6e10", "mov r13d, dword ptr [rsi+0x10]", nil, 7, "r4 feb00010", regs{13: 7}, 0},
	// Addressing.
	{64, "8b46f0", "mov eax, dword ptr [rsi-0x10]", nil, 7, "r4 feafffF0", regs{0: 7}, 0},
	{64, "8b8600fffFff", "mov eax, dword ptr [rsi+0xffffff00]", nil, 7, "r4 feafff00", regs{0: 7}, 0},
	{64, "8b449e08", "mov eax, dword ptr [rsi+4*rbx+0x8]", regs{3: 3}, 7, "r4 feb00014", regs{0: 7}, 0},
	{64, "428b04a6", "mov eax, dword ptr [rsi+4*r12]", regs{12: 1}, 7, "r4 feb00004", regs{0: 7}, 0},
	{64, "8b0425f000b0fe", "mov eax, dword ptr [0xfeb000f0]", regs{}, 7, "r4 fffffffffeb000f0", regs{0: 7}, 0},
	{64, "678b0425f000b0fe", "mov eax, dword ptr [0xfeb000f0]", regs{}, 7, "r4 feb000f0", regs{0: 7}, 0},
	{64, "8b05f0efaffe", "mov eax, dword ptr [rip+0xfeafeff0]", regs{}, 7, "r4 fffffffffeafFff6", regs{0: 7}, 0},
	{64, "678b06", "mov eax, dword ptr [esi]", regs{6: 0xffffffff_feb00000}, 7, "r4 feb00000", regs{0: 7}, 0},
	{64, "658b06", "mov eax, dword ptr gs:[rsi]", regs{6: 0xfea00000}, 7, "r4 feb00000", regs{0: 7}, 0},
	{64, "3e8b06", "mov eax, dword ptr [rsi]", nil, 7, "r4 feb00000", regs{0: 7}, 0},
	{32, "8b06", "mov eax, dword ptr [esi]", nil, 7, "r4 feb00000", regs{0: 7}, 0},
	{32, "658b06", "mov eax, dword ptr gs:[esi]", regs{6: 0xfea00000}, 7, "r4 feb00000", regs{0: 7}, 0},
	{32, "8b45f0", "mov eax, dword ptr [ebp-0x10]", regs{5: 0xfeb00010 - 0x20000}, 7, "r4 feb00000", regs{0: 7}, 0},
	{32, "8b0c24", "mov ecx, dword ptr [esp]", regs{4: 0xfeb00000 - 0x20000}, 7, "r4 feb00000", regs{1: 7}, 0},
	{16, "8b07", "mov ax, word ptr [bx]", regs{3: 0x12340010}, 0x99, "r2 fea00010", regs{0: 0x99}, 0},
	{16, "668b4102", "mov eax, dword ptr [bx+di*1+0x2]", regs{3: 0xffff, 7: 0xf}, 7, "r4 fea00010", regs{0: 7}, 0},
	{16, "8b42f0", "mov ax, word ptr [bp+si*1-0x10]", regs{5: 0x20, 6: 0xfff0}, 7, "r2 20000", regs{0: 7}, 0},
	{16, "a12043", "mov ax, word ptr [0x4320]", nil, 7, "r2 fea04320", regs{0: 7}, 0},
	{16, "67668b06", "mov eax, dword ptr [esi]", regs{6: 0x100000}, 7, "r4 feb00000", regs{0: 7}, 0},
	// moffs.
	{64, "a1f000b0fe00000000", "mov eax, dword ptr [0xfeb000f0]", nil, 7, "r4 feb000f0", regs{0: 7}, 0},
	{64, "48a3f000b0fe01000000", "mov qword ptr [0x1feb000f0], rax", regs{0: 0x1122334455667788}, 0, "w8 1feb000f0=1122334455667788", nil, 0},
	{64, "67a2f000b0fe", "mov byte ptr [0xfeb000f0], al", regs{0: 0x188}, 0, "w1 feb000f0=88", nil, 0},
	{32, "a0f000b0fe", "mov al, byte ptr [0xfeb000f0]", nil, 7, "r1 feb000f0", regs{0: 7}, 0},
	// MOV to memory.
	{64, "8906", "mov dword ptr [rsi], eax", regs{0: 0x1122334455667788}, 0, "w4 feb00000=55667788", nil, 0},
	{64, "4c893e", "mov qword ptr [rsi], r15", regs{15: 1 << 63}, 0, "w8 feb00000=8000000000000000", nil, 0},
	{64, "66895e02", "mov word ptr [rsi+0x2], bx", regs{3: 0x12345}, 0, "w2 feb00002=2345", nil, 0},
	{64, "883e", "mov byte ptr [rsi], bh", regs{3: 0x12345}, 0, "w1 feb00000=23", nil, 0},
	{64, "c60680", "mov byte ptr [rsi], 0x80", nil, 0, "w1 feb00000=80", nil, 0},
	{64, "66c7063412", "mov word ptr [rsi], 0x1234", nil, 0, "w2 feb00000=1234", nil, 0},
	{64, "c706000000f0", "mov dword ptr [rsi], -0x10000000", nil, 0, "w4 feb00000=f0000000", nil, 0},
	{64, "48c706000000f0", "mov qword ptr [rsi], -0x10000000", nil, 0, "w8 feb00000=fffffffff0000000", nil, 0},
	{64, "0fc306", "movnti dword ptr [rsi], eax", regs{0: 5}, 0, "w4 feb00000=5", nil, 0},
	{64, "0f38f006", "movbe eax, dword ptr [rsi]", nil, 0x11223344, "r4 feb00000", regs{0: 0x44332211}, 0},
	{64, "0f38f106", "movbe dword ptr [rsi], eax", regs{0: 0x11223344}, 0, "w4 feb00000=44332211", nil, 0},
	// Extensions.
	{64, "0fb606", "movzx eax, byte ptr [rsi]", regs{0: ^uint64(0)}, 0x80, "r1 feb00000", regs{0: 0x80}, 0},
	{64, "0fb706", "movzx eax, word ptr [rsi]", regs{0: ^uint64(0)}, 0x8000, "r2 feb00000", regs{0: 0x8000}, 0},
	{64, "660fb606", "movzx ax, byte ptr [rsi]", regs{0: ^uint64(0)}, 0x80, "r1 feb00000", regs{0: 0xffffffffffff0080}, 0},
	{64, "0fbe06", "movsx eax, byte ptr [rsi]", regs{0: ^uint64(0)}, 0x80, "r1 feb00000", regs{0: 0xffffff80}, 0},
	{64, "480fbf06", "movsx rax, word ptr [rsi]", nil, 0x8000, "r2 feb00000", regs{0: 0xffffffffffff8000}, 0},
	{64, "660fbe06", "movsx ax, byte ptr [rsi]", nil, 0x80, "r1 feb00000", regs{0: 0xff80}, 0},
	{64, "486306", "movsxd rax, dword ptr [rsi]", nil, 0x80000000, "r4 feb00000", regs{0: 0xffffffff80000000}, 0},
	// Arithmetic, each direction.
	{64, "2306", "and eax, dword ptr [rsi]", regs{0: ^uint64(0)}, 0x80000001, "r4 feb00000", regs{0: 0x80000001}, flagSF},
	{64, "2106", "and dword ptr [rsi], eax", regs{0: 0x0f}, 0x18, "r4 feb00000,w4 feb00000=8", nil, 0},
	{64, "810e00000100", "or dword ptr [rsi], 0x10000", nil, 3, "r4 feb00000,w4 feb00000=10003", nil, flagPF},
	{64, "830eff", "or dword ptr [rsi], -0x1", nil, 3, "r4 feb00000,w4 feb00000=ffffffff", nil, flagPF | flagSF},
	{64, "48830eff", "or qword ptr [rsi], -0x1", nil, 3, "r8 feb00000,w8 feb00000=ffffffffffffffff", nil, flagPF | flagSF},
	{64, "3306", "xor eax, dword ptr [rsi]", regs{0: 7}, 7, "r4 feb00000", regs{0: 0}, flagZF | flagPF},
	{64, "f00106", "lock add dword ptr [rsi], eax", regs{0: 1}, 0xffffffff, "r4 feb00000,w4 feb00000=0", nil, flagCF | flagZF | flagPF | flagAF},
	{64, "2b06", "sub eax, dword ptr [rsi]", regs{0: 1}, 2, "r4 feb00000", regs{0: 0xffffffff}, flagCF | flagSF | flagPF | flagAF},
	{64, "3b06", "cmp eax, dword ptr [rsi]", regs{0: 1}, 2, "r4 feb00000", nil, flagCF | flagSF | flagPF | flagAF},
	{64, "3906", "cmp dword ptr [rsi], eax", regs{0: 1}, 2, "r4 feb00000", nil, 0},
	{64, "803e80", "cmp byte ptr [rsi], 0x80", nil, 0x80, "r1 feb00000", nil, flagZF | flagPF},
	{64, "833eff", "cmp dword ptr [rsi], -0x1", nil, 0xffffffff, "r4 feb00000", nil, flagZF | flagPF},
	{64, "8506", "test dword ptr [rsi], eax", regs{0: 1}, 2, "r4 feb00000", nil, flagZF | flagPF},
	{64, "f60601", "test byte ptr [rsi], 0x1", nil, 3, "r1 feb00000", nil, 0},
	{64, "f70600000080", "test dword ptr [rsi], -0x80000000", nil, 0x80000000, "r4 feb00000", nil, flagSF | flagPF},
	{64, "ff06", "inc dword ptr [rsi]", nil, 1, "r4 feb00000,w4 feb00000=2", nil, 0},
	{64, "fe0e", "dec byte ptr [rsi]", nil, 1, "r1 feb00000,w1 feb00000=0", nil, flagZF | flagPF},
	{64, "f716", "not dword ptr [rsi]", nil, 1, "r4 feb00000,w4 feb00000=fffffffe", nil, 0},
	{64, "f71e", "neg dword ptr [rsi]", nil, 1, "r4 feb00000,w4 feb00000=ffffffff", nil, flagCF | flagSF | flagPF | flagAF},
	// Exchanges.
	{64, "8706", "xchg dword ptr [rsi], eax", regs{0: 0x1100000005}, 9, "r4 feb00000,w4 feb00000=5", regs{0: 9}, 0},
	{64, "8626", "xchg byte ptr [rsi], ah", regs{0: 0x500}, 9, "r1 feb00000,w1 feb00000=5", regs{0: 0x900}, 0},
	{64, "f00fc106", "lock xadd dword ptr [rsi], eax", regs{0: 5}, 3, "r4 feb00000,w4 feb00000=8", regs{0: 3}, 0},
	{64, "f00fb10e", "lock cmpxchg dword ptr [rsi], ecx", regs{0: 3, 1: 9}, 3, "r4 feb00000,w4 feb00000=9", nil, flagZF | flagPF},
	{64, "0fb10e", "cmpxchg dword ptr [rsi], ecx", regs{0: 4, 1: 9}, 3, "r4 feb00000,w4 feb00000=3", regs{0: 3}, 0},
	// Bits.
	{64, "0fba2605", "bt dword ptr [rsi], 0x5", nil, 0x20, "r4 feb00000", nil, flagCF},
	{64, "f00fba2e25", "lock bts dword ptr [rsi], 0x25", nil, 0, "r4 feb00000,w4 feb00000=20", nil, 0},
	{64, "0fab06", "bts dword ptr [rsi], eax", regs{0: 37}, 0, "r4 feb00004,w4 feb00004=20", nil, 0},
	{64, "0fb306", "btr dword ptr [rsi], eax", regs{0: 0xffffffff}, 1<<31 | 1, "r4 feaffffc,w4 feaffffc=1", nil, flagCF},
	{64, "480fbb06", "btc qword ptr [rsi], rax", regs{0: 64 + 3}, 8, "r8 feb00008,w8 feb00008=0", nil, flagCF},
	// Strings, a step each.
	{64, "ab", "stosd dword ptr [rdi]", regs{0: 5, 7: deviceAt}, 0, "w4 feb00000=5", regs{7: deviceAt + 4}, 0},
	{64, "f3aa", "rep stosb byte ptr [rdi]", regs{0: 0x105, 1: 1, 7: deviceAt}, 0, "w1 feb00000=5", regs{1: 0, 7: deviceAt + 1}, 0},
	{32, "66ab", "stosw word ptr [edi]", regs{0: 5, 7: deviceAt}, 0, "w2 feb00000=5", regs{7: deviceAt + 2}, 0},
	{64, "48ad", "lodsq qword ptr [rsi]", nil, 1 << 40, "r8 feb00000", regs{0: 1 << 40, 6: deviceAt + 8}, 0},
	{64, "ac", "lodsb byte ptr [rsi]", regs{0: 0x1100}, 0x22, "r1 feb00000", regs{0: 0x1122, 6: deviceAt + 1}, 0},
	{64, "a5", "movsd dword ptr [rdi], dword ptr [rsi]", regs{7: deviceAt + 0x10}, 6, "r4 feb00000,w4 feb00010=6", regs{6: deviceAt + 4, 7: deviceAt + 0x14}, 0},
	{64, "f348a5", "rep movsq qword ptr [rdi], qword ptr [rsi]", regs{1: 0, 7: deviceAt}, 6, "", nil, 0},
	{64, "67f3ab", "rep stosd dword ptr [edi]", regs{0: 5, 1: 1<<32 | 1, 7: 1<<32 | deviceAt}, 0, "w4 feb00000=5", regs{1: 0, 7: deviceAt + 4}, 0},
	{16, "f3ab", "rep stosw word ptr [di]", regs{0: 5, 1: 0xffff0001, 7: 0x1fffe}, 0, "w2 feaffffe=5", regs{1: 0xffff0000, 7: 0x10000}, 0},
	// Neither.
	{64, "0fae3e", "clflush zmmword ptr [rsi]", nil, 0, "", nil, 0},
}

func newCPU(mode Mode, set regs) *CPU {
	c := &CPU{Mode: mode, RIP: codeAt, RFLAGS: 2}
	if mode == Mode64 {
		c.EFER = eferLMA // and CR0.PG off, which no processor has: no tables needed
		c.Base = [6]uint64{1, 2, 3, 4, 5, 0x100000}
	} else {
		c.Base[SS], c.Base[GS] = 0x20000, 0x100000
	}
	if mode == Mode16 {
		c.Base[DS], c.Base[ES] = 0xfea00000, 0xfeaf0000
	}
	c.GPR[6] = deviceAt
	for i, v := range set {
		c.GPR[i] = v
	}
	return c
}

func TestInstructions(t *testing.T) {
	for _, tc := range instructions {
		code := unhex(t, tc.code)
		inst, err := x86asm.Decode(code, int(tc.mode))
		if err != nil {
			t.Errorf("%s: x86asm: %v", tc.asm, err)
			continue
		}
		if inst.Len != len(code) {
			t.Errorf("%s: x86asm decodes %d bytes of %d", tc.asm, inst.Len, len(code))
		}
		if text := x86asm.IntelSyntax(inst, 0, nil); text != tc.asm {
			t.Errorf("%s: x86asm has %q", tc.asm, text)
		}
		memory := make(ram, 0x10000)
		copy(memory[codeAt:], code)
		d := &dev{value: tc.device}
		c := newCPU(tc.mode, tc.before)
		want := *c
		for i, v := range tc.after {
			want.GPR[i] = v
		}
		want.RIP += uint64(len(code))
		want.RFLAGS |= tc.flags
		// The exit's address is wherever the first access is to be.
		exit := uint64(deviceAt)
		if tc.log != "" {
			fmt.Sscanf(tc.log[3:], "%x", &exit)
		}
		if err := New(memory, d).Handle(c, exit); err != nil {
			t.Errorf("%s: %v", tc.asm, err)
			continue
		}
		if *c != want {
			t.Errorf("%s:\n got %x\nwant %x", tc.asm, *c, want)
		}
		if got := strings.Join(d.log, ","); got != strings.ToLower(tc.log) {
			t.Errorf("%s: accesses %q, want %q", tc.asm, got, tc.log)
		}
		op, err := Decode(append(code, 0x90, 0x90, 0x90, 0x90, 0x90), tc.mode)
		if err != nil || int(op.Len) != inst.Len {
			t.Errorf("%s: decoded %d bytes, want %d (%v)", tc.asm, op.Len, inst.Len, err)
		}
		if bitString := op.Do >= Bt && op.Do <= Btc && !op.UseImm; tc.log != "" && !bitString {
			if got := op.Mem.address(newCPU(tc.mode, tc.before), op.Len, 0); got != exit && op.Do != Move {
				t.Errorf("%s: linear address %#x, want %#x", tc.asm, got, exit)
			}
		}
		if reads, writes := strings.Contains(tc.log, "r"), strings.Contains(tc.log, "w"); tc.log != "" &&
			(op.Read() != reads || op.Write() != writes) {
			t.Errorf("%s: reads %v, writes %v", tc.asm, op.Read(), op.Write())
		}
	}
}

func TestRepeatExecutesOneStepAnExit(t *testing.T) {
	memory := make(ram, 0x3000)
	copy(memory[codeAt:], unhex(t, "f3a5")) // rep movsd
	memory.put64(0x2000, 0x2222222211111111)
	memory.put64(0x2008, 0x3333333333333333)
	d := new(dev)
	c := newCPU(Mode64, regs{1: 3, 6: 0x2008, 7: deviceAt + 8})
	c.RFLAGS |= flagDF
	e := New(memory, d)
	for step, want := range []string{"w4 feb00008=33333333", "w4 feb00004=22222222", "w4 feb00000=11111111"} {
		if c.RIP != codeAt {
			t.Fatalf("step %d: RIP %#x", step, c.RIP)
		}
		d.log = nil
		if err := e.Handle(c, c.GPR[7]); err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(d.log, ","); got != want {
			t.Errorf("step %d: %q, want %q", step, got, want)
		}
	}
	if c.RIP != codeAt+2 || c.GPR[1] != 0 || c.GPR[6] != 0x2008-12 || c.GPR[7] != deviceAt-4 {
		t.Errorf("after: RIP %#x, RCX %d, RSI %#x, RDI %#x", c.RIP, c.GPR[1], c.GPR[6], c.GPR[7])
	}
}

func TestMoveFromDeviceToRAM(t *testing.T) {
	memory := make(ram, 0x3000)
	copy(memory[codeAt:], unhex(t, "48a5"))
	d := &dev{value: 0x1122334455667788}
	// Both addresses have the same offset in their pages.
	c := newCPU(Mode64, regs{6: deviceAt, 7: 0x2000})
	if err := New(memory, d).Handle(c, deviceAt); err != nil {
		t.Fatal(err)
	}
	if v, _ := memory.Read64(0x2000); v != d.value || strings.Join(d.log, ",") != "r8 feb00000" {
		t.Errorf("RAM has %#x, device saw %q", v, d.log)
	}
}

func TestOperandAcrossRAMAndDevice(t *testing.T) {
	for _, tc := range []struct {
		code, log string
		ram       uint64
		rax       uint64
	}{
		{"488b06", "r5 3000", 0xccbbaa0000000000, 0xff04030201ccbbaa},
		{"488906", "w5 3000=1122334455", 0x7788660000000000, 0},
	} {
		memory := make(ram, 0x3000)
		copy(memory[codeAt:], unhex(t, tc.code))
		memory.put64(0x2ff8, 0xccbbaa0000000000)
		d := &dev{value: 0xeeddccff04030201}
		c := newCPU(Mode64, regs{0: 0x1122334455667788, 6: 0x2ffd})
		if err := New(memory, d).Handle(c, 0x3000); err != nil {
			t.Fatal(err)
		}
		if tc.log[0] == 'r' {
			if c.GPR[0] != tc.rax {
				t.Errorf("%s: RAX %#x, want %#x", tc.code, c.GPR[0], tc.rax)
			}
		} else if v, _ := memory.Read64(0x2ff8); v != 0x6677880000000000 {
			t.Errorf("%s: RAM %#x", tc.code, v)
		}
		if got := strings.Join(d.log, ","); got != tc.log {
			t.Errorf("%s: %q, want %q", tc.code, got, tc.log)
		}
	}
}

func TestWhatCannotBeEmulatedIsNamed(t *testing.T) {
	for _, tc := range []struct {
		mode Mode
		code string
		want string
	}{
		{64, "0fae00", `mmio: cannot emulate "fxsave`},
		{64, "0f2906", `"movaps`},
		{64, "ff36", `"push`},
		{64, "d126", `"shl`},
		{64, "8c1e", `"mov word ptr [rsi], ds"`},
		{64, "f390", `"pause"`},
		{64, "0fc70e", `"cmpxchg8b`},
		{64, "f00fb606", `"lock movzx`},
		{64, "c5fe6f06", "c5 fe 6f 06"},
		{64, "0f04ffffffffffffffffffffffffff", "an unknown instruction (0f 04 ff ff"},
		{64, "262626262626262626262626262626", "an unknown instruction"},
		{32, "c8100000", `"enter`},
		{16, "0f0b", `"ud2"`},
	} {
		memory := make(ram, 0x3000)
		copy(memory[codeAt:], unhex(t, tc.code))
		c := newCPU(tc.mode, nil)
		want := *c
		d := new(dev)
		err := New(memory, d).Handle(c, deviceAt)
		var unsupported *UnsupportedError
		if !errors.As(err, &unsupported) {
			t.Errorf("%s: error %v", tc.code, err)
			continue
		}
		for _, w := range []string{tc.want, fmt.Sprintf("%d-bit code at 0x1000", tc.mode), "0xfeb00000", tc.code[:2]} {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%s: %q lacks %q", tc.code, err, w)
			}
		}
		if *c != want || len(d.log) != 0 {
			t.Errorf("%s: not executed, but CPU %x, device %q", tc.code, *c, d.log)
		}
	}
}

func TestSeenInstructionsDoNotAllocate(t *testing.T) {
	memory := make(ram, 0x20000)
	d := &dev{quiet: true}
	e := New(memory, d)
	var at []uint64
	next := uint64(codeAt)
	for _, code := range []string{"8b06", "488906", "810e00000100", "f00fb10e", "a4", "ac"} {
		at = append(at, next)
		next += uint64(copy(memory[next:], unhex(t, code)))
	}
	c := longMode(memory)
	if n := testing.AllocsPerRun(100, func() {
		for _, rip := range at {
			c.RIP, c.GPR[6], c.GPR[7] = rip, deviceAt, 0x3000
			if err := e.Handle(c, deviceAt); err != nil {
				t.Fatal(err)
			}
		}
	}); n != 0 {
		t.Errorf("%v allocations, want none", n)
	}
}

func TestCacheSeesChangedCode(t *testing.T) {
	memory := make(ram, 0x3000)
	d := &dev{value: 5}
	e := New(memory, d)
	for _, tc := range []struct {
		mode      Mode
		code, log string
	}{
		{Mode64, "8b06", "r4 feb00000"},
		{Mode64, "8906", "w4 feb00000=5"},
		{Mode64, "668906", "w2 feb00000=5"},
		{Mode64, "89063412", "w4 feb00000=5"},
		{Mode16, "89063412", "w2 fea01234=5"},
		{Mode64, "8b06", "r4 feb00000"},
	} {
		copy(memory[codeAt:], unhex(t, tc.code))
		c := newCPU(tc.mode, regs{0: 5})
		d.log = nil
		if err := e.Handle(c, deviceAt); err != nil || strings.Join(d.log, ",") != tc.log {
			t.Errorf("%s in %d-bit code: %q, want %q (%v)", tc.code, tc.mode, d.log, tc.log, err)
		}
	}
}

func TestInstructionPointerWrapsAndResumeFlagEnds(t *testing.T) {
	for _, tc := range []struct {
		mode      Mode
		rip, want uint64
	}{
		{Mode16, 0xfffe, 0}, {Mode32, 0xfffffffe, 0}, {Mode32, 0xfffe, 0x10000}, {Mode64, 0xfffffffe, 0x100000000},
	} {
		c := newCPU(tc.mode, nil)
		c.RIP = tc.rip
		c.RFLAGS |= flagRF
		if err := New(make(ram, 0), new(dev)).Execute(c, &Op{Do: Touch, Len: 2}, 0); err != nil {
			t.Fatal(err)
		}
		if c.RIP != tc.want || c.RFLAGS != 2 {
			t.Errorf("%d-bit code, %#x: RIP %#x, RFLAGS %#x", tc.mode, tc.rip, c.RIP, c.RFLAGS)
		}
	}
}
