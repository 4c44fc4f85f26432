package main

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"keel/tools/lowercheck/image"
)

// entries are where the lower half is entered: from firmware, by interrupts, system calls and
// started processors. All that it can execute is reached from there by calls that can be seen.
var entries = []string{
	"keel/boot.entry32",
	"keel/vmkernel/core.entry",
	"keel/vmkernel/core.apEntry",
	"keel/vmkernel/core.switchStack",
	"keel/vmkernel/core.syscallEntry",
	"keel/vmkernel/core.interrupted",
	"keel/vmkernel/core.nmi",
	"keel/vmkernel/core.stubs",
}

// fastPath is where the path of exits that leave the guest's vector registers in place begins.
var fastPath = []string{
	"keel/vmkernel/core.(*vcpu).fastExit",
	"keel/vmkernel/core.(*vcpu).prepare",
	"keel/vmkernel/core.(*vcpu).enter",
	"keel/vmkernel/core.(*vcpu).answerCPUID",
	"keel/vmkernel/core.(*vcpu).attention",
}

// fastMore is what also runs while the guest's vector registers are live: between an exit and the
// next entry, or the XSAVE of unload.
var fastMore = []string{
	"keel/vmkernel/core.(*vcpu).slowExit",
	"keel/vmkernel/core.(*vcpu).wait",
	"keel/vmkernel/core.(*cpu).mustLeave",
	"keel/vmkernel/core.(*cpu).beforeBrief",
	"keel/vmkernel/core.(*cpu).afterBrief",
}

// fastBodies are functions of which only the code itself does, not what they call.
var fastBodies = []string{
	"keel/vmkernel/core.(*cpu).runVCPU",
	"keel/vmkernel/core.vmbrief",
	"keel/vmkernel/core.(*vcpu).load",
	"keel/vmkernel/core.(*vcpu).unload",
}

// beforeRuntime are functions that only run before the Go runtime starts: it has no collector yet
// that a pointer to a string constant could escape.
var beforeRuntime = map[string]bool{
	"keel/vmkernel/core.calibrate":  true,
	"keel/vmkernel/core.enableVirt": true,
	"keel/vmkernel/core.probeVirt":  true,
	"keel/vmkernel/core.initSched":  true,
}

// indirect are the functions that may jump or call by a register or memory.
var indirect = map[string]string{
	"keel/boot.entry32":               "goes on in 64-bit code by a far jump",
	"keel/boot.entry64":               "goes on at the linked address",
	"keel/vmkernel/core.powerOff":     "one of two ways, both in that function",
	"keel/vmkernel/core.leave":        "resumes a world",
	"keel/vmkernel/core.interrupted":  "resumes a world",
	"keel/vmkernel/core.syscallEntry": "resumes a world",
	"keel/vmkernel/core.apEntry":      "resumes a world",
	"keel/vmkernel/core.switchStack":  "resumes a world",
}

// fromRuntime is what of the runtime the lower half may call: moves, comparisons, and the ends of
// failed checks, which its g turns into a fatal fault.
var fromRuntime = regexp.MustCompile(`^(runtime\.(memmove|memclrNoHeapPointers|memequal|duffzero|duffcopy|panic\w+|goPanic\w+|morestack\w*|sigpanic)|` +
	`runtime/internal/\w+\.\w+|internal/runtime/atomic\.\w+|internal/bytealg\.(Equal|IndexByte)\w*|memeqbody)(\.abi0)?$`)

// fromRuntimeFast is what of it the fast path may call.
var fromRuntimeFast = regexp.MustCompile(`^runtime\.(panic\w+|goPanic\w+|morestack\w*)(\.abi0)?$`)

// upperWRMSR is TamaGo's way to set FS base, which it goes only in ring 0 and only for its first thread, before there is
// Go code. It knows no other way there.
const upperWRMSR = "runtime.settls.abi0"

// upperClocks are the clocks that package goos jumps to, code of the upper half's as the vDSO is: leaves that keep no state.
var upperClocks = []string{"keel/vmkernel/core.vdsoMonotonic.abi0", "keel/vmkernel/core.vdsoRealtime.abi0"}

// privileged are instructions that only ring 0 may execute, or that only a host has a use for.
var privileged = map[string]bool{}

func init() {
	for _, op := range strings.Fields(`RDMSR WRMSR IN OUT INSB INSW INSD OUTSB OUTSW OUTSD LGDT LIDT LLDT LTR LMSW CLTS HLT
		CLI STI INVD WBINVD INVLPG INVLPGA INVPCID INVEPT INVVPID XSETBV SWAPGS SYSRET SYSEXIT IRET IRETD IRETQ RDPMC
		MONITOR MWAIT STAC CLAC VMXON VMXOFF VMCLEAR VMPTRLD VMPTRST VMREAD VMWRITE VMLAUNCH VMRESUME VMCALL VMFUNC
		VMRUN VMLOAD VMSAVE VMMCALL STGI CLGI SKINIT GETSEC RSM WRFSBASE WRGSBASE XSAVES XRSTORS`) {
		privileged[op] = true
	}
}

// controlRegister finds moves from and to control and debug registers.
var controlRegister = regexp.MustCompile(`\b(CR[0-9]+|DR[0-9]+)\b`)

func (i instruction) isPrivileged() bool {
	return privileged[i.op] || i.op == "MOV" && controlRegister.MatchString(i.text)
}

// A checker collects what breaks the rules.
type checker struct {
	im     *image.Image
	broken []string
	code   map[*image.Func][]instruction
}

func (c *checker) fail(f *image.Func, i instruction, format string, args ...any) {
	c.broken = append(c.broken, fmt.Sprintf("%s+%#x: %s: %s", f.Name, i.addr-f.Addr, i.text, fmt.Sprintf(format, args...)))
}

// instructions decodes a function, up to its padding.
func (c *checker) instructions(f *image.Func) []instruction {
	if list, done := c.code[f]; done {
		return list
	}
	var list []instruction
	code := f.Code
	for len(code) > 0 && code[len(code)-1] == 0xCC {
		code = code[:len(code)-1]
	}
	for off := 0; off < len(code); {
		i, err := decode(code[off:], f.Addr+uint64(off))
		if err != nil {
			if !mayHoldData[f.Name] {
				c.broken = append(c.broken, fmt.Sprintf("%s+%#x: % x: %v: teach decodeOther of it", f.Name, off, code[off:min(off+8, len(code))], err))
			}
			break
		}
		list = append(list, i)
		off += int(i.size)
		if marks[f.Name] && len(list) == 1 && i.op == "JMP" && i.target >= f.Addr+i.size && i.target < f.Addr+uint64(len(code)) {
			off = int(i.target - f.Addr)
		}
	}
	c.code[f] = list
	return list
}

// mayHoldData are functions of assembly that begin with code of other modes, or hold tables: they
// are part of the lower half's entry from firmware, and read by people.
var mayHoldData = map[string]bool{
	"keel/boot.entry32":      true,
	"keel/boot.apTrampoline": true,
}

// marks are functions that begin with a jump over bytes by which tools know an image: no code.
var marks = map[string]bool{
	"crypto/internal/boring/sig.StandardCrypto":      true,
	"crypto/internal/boring/sig.StandardCrypto.abi0": true,
}

// walk visits all functions that can be reached from the named ones by direct calls and jumps, and
// calls visit for each. leaf says where not to go on. Names that aren't in the image break the rules.
func (c *checker) walk(roots []string, leaf func(*image.Func) bool, visit func(*image.Func)) {
	var next []*image.Func
	seen := map[*image.Func]bool{}
	add := func(f *image.Func) {
		if f != nil && !seen[f] {
			seen[f] = true
			next = append(next, f)
		}
	}
	for _, name := range roots {
		f, wrapper := c.im.Find(name), c.im.Find(name+".abi0")
		if f == nil && wrapper == nil {
			c.broken = append(c.broken, name+" is not in the image: has it been renamed? See tools/lowercheck/rules.go")
		}
		add(f)
		add(wrapper)
	}
	for len(next) > 0 {
		f := next[0]
		next = next[1:]
		visit(f)
		if leaf(f) {
			continue
		}
		for _, i := range c.instructions(f) {
			if i.target != 0 {
				add(c.im.At(i.target))
			}
		}
	}
}

// lowerHalf checks all that the lower half can execute.
func (c *checker) lowerHalf() (reached int) {
	barrier := c.im.Var("runtime.writeBarrier")
	leaf := func(f *image.Func) bool { return image.HalfOf(f.Package) != image.Lower }
	c.walk(entries, leaf, func(f *image.Func) {
		if leaf(f) {
			return
		}
		reached++
		for _, i := range c.instructions(f) {
			switch t := c.im.At(i.target); {
			case i.target != 0 && t == nil:
				c.fail(f, i, "goes to %#x, where no function is", i.target)
			case beforeRuntime[f.Name] && (i.memory == barrier || t != nil && strings.HasPrefix(t.Name, "runtime.gcWriteBarrier")):
			case t != nil && leaf(t) && !fromRuntime.MatchString(t.Name):
				c.fail(f, i, "calls %s, which is no part of the lower half", t.Name)
			case i.indirect && indirect[f.Name] == "" && !isJumpTable(i, f):
				c.fail(f, i, "calls what can't be seen from here: by an interface, a closure or a function value")
			case barrier != 0 && i.memory == barrier:
				c.fail(f, i, "stores a Go pointer: a write barrier")
			}
		}
	})
	return reached
}

// isJumpTable says whether an indirect jump is the compiler's of a switch: JMP by a register in Go
// code. Calls never are.
func isJumpTable(i instruction, f *image.Func) bool {
	return i.op == "JMP" && !strings.HasSuffix(f.Name, ".abi0")
}

// fast checks the path of fast exits.
func (c *checker) fast() (reached int) {
	leaf := func(f *image.Func) bool { return image.HalfOf(f.Package) != image.Lower }
	for _, name := range fastBodies {
		f := c.im.Find(name)
		if f == nil {
			c.broken = append(c.broken, name+" is not in the image: has it been renamed? See tools/lowercheck/rules.go")
			continue
		}
		reached++
		c.noVectors(f)
	}
	c.walk(slices.Concat(fastPath, fastMore), leaf, func(f *image.Func) {
		if leaf(f) {
			if !fromRuntimeFast.MatchString(f.Name) {
				c.broken = append(c.broken, fmt.Sprintf("%s is called on the path of fast exits", f.Name))
			}
			return
		}
		reached++
		c.noVectors(f)
		for _, i := range c.instructions(f) {
			if i.indirect && indirect[f.Name] == "" && !isJumpTable(i, f) {
				c.fail(f, i, "calls what can't be seen, on the path of fast exits")
			}
		}
	})
	return reached
}

// noVectors checks that a function touches no vector register but by the compiler's own moves.
func (c *checker) noVectors(f *image.Func) {
	for _, i := range c.instructions(f) {
		if i.vector && !i.plainMove {
			c.fail(f, i, "touches a vector register of the guest's on the path of fast exits")
		}
	}
}

// upperHalf checks that nothing outside the lower half holds a privileged instruction or calls into
// the lower half.
func (c *checker) upperHalf() (functions int) {
	for _, f := range c.im.Funcs {
		if f.Package == "" || image.HalfOf(f.Package) == image.Lower {
			continue
		}
		functions++
		for _, i := range c.instructions(f) {
			if i.isPrivileged() && upperWRMSR != f.Name {
				c.fail(f, i, "is privileged")
			}
			if t := c.im.At(i.target); t != nil && forbidden(t) {
				c.fail(f, i, "calls %s of the lower half: only vmkernel/sys may, by SYSCALL", t.Name)
			}
		}
	}
	return functions
}

// forbidden says whether the upper half may not call f: what executes for the lower half alone. The
// lower half's device models are plain Go, and give names and numbers to both.
func forbidden(f *image.Func) bool {
	return !slices.Contains(upperClocks, f.Name) && image.HalfOf(f.Package) == image.Lower && !strings.HasPrefix(f.Package, "keel/vmkernel/device/") &&
		f.Package != "keel/arch/amd64/virt"
}
