package vm

import (
	"fmt"
	"log/slog"

	"keel/arch/amd64/virt"
)

// dump logs all registers of a processor that ends its VM, and why.
func (c *vcpu) dump(why string) {
	s := &c.page.State
	log := c.in.log.With("vcpu", c.index)
	log.Error("vm crash", "cause", why)
	log.Error("vm registers",
		hex("rip", s.RIP), hex("rflags", s.RFLAGS),
		hex("rax", s.GPR[virt.RAX]), hex("rbx", s.GPR[virt.RBX]), hex("rcx", s.GPR[virt.RCX]), hex("rdx", s.GPR[virt.RDX]),
		hex("rsi", s.GPR[virt.RSI]), hex("rdi", s.GPR[virt.RDI]), hex("rbp", s.GPR[virt.RBP]), hex("rsp", s.GPR[virt.RSP]),
		hex("r8", s.GPR[virt.R8]), hex("r9", s.GPR[virt.R9]), hex("r10", s.GPR[virt.R10]), hex("r11", s.GPR[virt.R11]),
		hex("r12", s.GPR[virt.R12]), hex("r13", s.GPR[virt.R13]), hex("r14", s.GPR[virt.R14]), hex("r15", s.GPR[virt.R15]))
	log.Error("vm control",
		hex("cr0", s.CR0), hex("cr2", s.CR2), hex("cr3", s.CR3), hex("cr4", s.CR4), hex("efer", s.EFER), hex("xcr0", s.XCR0),
		hex("dr0", s.DR[0]), hex("dr1", s.DR[1]), hex("dr2", s.DR[2]), hex("dr3", s.DR[3]), hex("dr6", s.DR6), hex("dr7", s.DR7),
		hex("pat", s.PAT), hex("star", s.STAR), hex("lstar", s.LSTAR), hex("cstar", s.CSTAR), hex("sfmask", s.SFMASK),
		hex("kernelgs", s.KernelGSBase), hex("sysentercs", s.SysenterCS), hex("sysenteresp", s.SysenterESP),
		hex("sysentereip", s.SysenterEIP), hex("tscaux", s.TSCAux), hex("interruptibility", s.Interruptibility))
	var segments []any
	for i, name := range [8]string{
		virt.ES: "es", virt.CS: "cs", virt.SS: "ss", virt.DS: "ds",
		virt.FS: "fs", virt.GS: "gs", virt.LDTR: "ldtr", virt.TR: "tr",
	} {
		g := &s.Seg[i]
		segments = append(segments, slog.String(name, fmt.Sprintf("%04x:%x+%x/%05x", g.Selector, g.Base, g.Limit, g.Attr)))
	}
	segments = append(segments,
		slog.String("gdtr", fmt.Sprintf("%x+%x", s.GDTR.Base, s.GDTR.Limit)),
		slog.String("idtr", fmt.Sprintf("%x+%x", s.IDTR.Base, s.IDTR.Limit)))
	log.Error("vm segments", segments...)
	e := &s.Exit
	log.Error("vm exit", "kind", kindName(e.Kind), hex("reason", uint64(e.Reason)), hex("qualification", e.Qual),
		hex("gpa", e.GPA), hex("gva", e.GVA), "length", e.Len, hex("port", uint64(e.Port)), "vector", e.Vector,
		hex("code", uint64(e.ErrCode)), "write", e.Write)
}

func hex(name string, v uint64) slog.Attr { return slog.String(name, fmt.Sprintf("%#x", v)) }
