package main

import (
	"errors"
	"strings"

	"golang.org/x/arch/x86/x86asm"
)

// An instruction is what the rules need to know of one.
type instruction struct {
	addr, size uint64
	op         string // as x86asm or this file names it
	target     uint64 // of a direct call or jump, 0: none
	indirect   bool   // a call or jump by register or memory
	memory     uint64 // address of a RIP-relative operand, 0: none
	vector     bool   // touches a vector register
	plainMove  bool   // and is the compiler's own: MOVUPS or XORPS on X14 and X15 alone
	text       string
}

var errUndecoded = errors.New("can't be decoded")

// decode decodes the instruction at the beginning of code, which lies at addr.
func decode(code []byte, addr uint64) (instruction, error) {
	i := instruction{addr: addr}
	if n, op, vector := decodeOther(code); n != 0 {
		i.size, i.op, i.vector, i.text = uint64(n), op, vector, op
		return i, nil
	}
	x, err := x86asm.Decode(code, 64)
	if err != nil || x.Len == 0 {
		return i, errUndecoded
	}
	i.size, i.op = uint64(x.Len), x.Op.String()
	i.text = x86asm.GoSyntax(x, addr, nil)
	branch := x.Op == x86asm.CALL || x.Op == x86asm.JMP || strings.HasPrefix(i.op, "J")
	others := i.op[0] == 'F' // x87, with the stack for an operand
	i.vector = others
	for k, a := range x.Args {
		switch a := a.(type) {
		case x86asm.Rel:
			i.target = addr + i.size + uint64(int64(a))
		case x86asm.Mem:
			if a.Base == x86asm.RIP {
				i.memory = addr + i.size + uint64(a.Disp)
			}
			i.indirect = i.indirect || branch && k == 0
		case x86asm.Reg:
			i.indirect = i.indirect || branch && k == 0
			switch {
			case a == x86asm.X14 || a == x86asm.X15:
				i.vector = true
			case a >= x86asm.X0 && a <= x86asm.X15, a >= x86asm.M0 && a <= x86asm.M7, a >= x86asm.F0 && a <= x86asm.F7:
				i.vector, others = true, true
			}
		}
	}
	i.plainMove = i.vector && !others && (x.Op == x86asm.MOVUPS || x.Op == x86asm.XORPS)
	return i, nil
}

// decodeOther decodes what x86asm doesn't know: VEX and EVEX code, and instructions of systems. It
// returns the length, 0 for what it doesn't know either.
func decodeOther(code []byte) (n int, op string, vector bool) {
	at := 0
	prefix66, prefixF3, prefixF2 := false, false, false
	for ; at < len(code) && at < 4; at++ {
		switch code[at] {
		case 0x66:
			prefix66 = true
			continue
		case 0xF3:
			prefixF3 = true
			continue
		case 0xF2:
			prefixF2 = true
			continue
		}
		break
	}
	if at < len(code) && code[at]&0xF0 == 0x40 { // REX
		at++
	}
	if at+3 > len(code) {
		return 0, "", false
	}
	switch code[at] {
	case 0xC5:
		return vexLength(code, at+2, 1)
	case 0xC4:
		return vexLength(code, at+3, code[at+1]&31)
	case 0x62:
		return vexLength(code, at+4, code[at+1]&7)
	case 0x0F:
	default:
		return 0, "", false
	}
	second, third := code[at+1], code[at+2]
	modrm := func(op string, skip int) (int, string, bool) {
		l := modrmLength(code, at+skip)
		if l == 0 {
			return 0, "", false
		}
		return at + skip + l, op, false
	}
	memoryForm, reg := third>>6 != 3, third>>3&7
	switch second {
	case 0x01:
		if !memoryForm {
			if name, known := group7[third]; known {
				return at + 3, name, false
			}
			return 0, "", false
		}
	case 0x37:
		return at + 2, "GETSEC", false
	case 0x78:
		return modrm("VMREAD", 2)
	case 0x79:
		return modrm("VMWRITE", 2)
	case 0xAE:
		switch {
		case prefixF3 && !memoryForm && reg < 4:
			return modrm([]string{"RDFSBASE", "RDGSBASE", "WRFSBASE", "WRGSBASE"}[reg], 2)
		case memoryForm && reg >= 4 && reg <= 6 && !prefix66 && !prefixF3 && !prefixF2:
			return modrm([]string{"XSAVE", "XRSTOR", "XSAVEOPT"}[reg-4], 2)
		}
	case 0xC7:
		switch {
		case memoryForm && reg == 6 && prefix66:
			return modrm("VMCLEAR", 2)
		case memoryForm && reg == 6 && prefixF3:
			return modrm("VMXON", 2)
		case memoryForm && reg == 6:
			return modrm("VMPTRLD", 2)
		case memoryForm && reg == 7 && !prefixF3:
			return modrm("VMPTRST", 2)
		case memoryForm && reg >= 3 && reg <= 5:
			return modrm([]string{"XRSTORS", "XSAVEC", "XSAVES"}[reg-3], 2)
		case !memoryForm && reg >= 6:
			return modrm([]string{"RDRAND", "RDSEED"}[reg-6], 2)
		}
	case 0x38:
		if prefix66 && third >= 0x80 && third <= 0x82 {
			return modrm([]string{"INVEPT", "INVVPID", "INVPCID"}[third-0x80], 3)
		}
		if third == 0xF6 && (prefix66 || prefixF3) {
			return modrm("ADX", 3)
		}
		if third >= 0xC8 && third <= 0xDF && (prefix66 || !prefixF2 && !prefixF3) {
			n, op, _ := modrm("SHA or AES", 3)
			return n, op, true
		}
	case 0x3A:
		if third == 0xCC || third == 0xDF || third == 0x44 {
			n, op, _ := modrm("SHA or AES", 3)
			if n != 0 {
				n++
			}
			return n, op, true
		}
	}
	return 0, "", false
}

// group7 are the instructions 0F 01 with a register form (SDM 2D table A-6).
var group7 = map[byte]string{
	0xC1: "VMCALL", 0xC2: "VMLAUNCH", 0xC3: "VMRESUME", 0xC4: "VMXOFF",
	0xC8: "MONITOR", 0xC9: "MWAIT", 0xCA: "CLAC", 0xCB: "STAC",
	0xD0: "XGETBV", 0xD1: "XSETBV", 0xD4: "VMFUNC", 0xD5: "XEND", 0xD6: "XTEST",
	0xD8: "VMRUN", 0xD9: "VMMCALL", 0xDA: "VMLOAD", 0xDB: "VMSAVE",
	0xDC: "STGI", 0xDD: "CLGI", 0xDE: "SKINIT", 0xDF: "INVLPGA",
	0xEE: "RDPKRU", 0xEF: "WRPKRU", 0xF8: "SWAPGS", 0xF9: "RDTSCP",
}

// vexLength returns the length of an instruction whose opcode, of the given map, is at at.
func vexLength(code []byte, at int, table byte) (int, string, bool) {
	if at+2 > len(code) {
		return 0, "", false
	}
	opcode := code[at]
	if table == 1 && opcode == 0x77 { // VZEROUPPER, VZEROALL: no operand
		return at + 1, "VZEROUPPER", true
	}
	n := modrmLength(code, at+1)
	if n == 0 {
		return 0, "", false
	}
	end := at + 1 + n
	if table == 3 || table == 1 && (opcode >= 0x70 && opcode <= 0x73 || opcode == 0xC2 || opcode >= 0xC4 && opcode <= 0xC6) {
		end++
	}
	// General registers alone: ANDN, BLS*, BZHI, BEXTR, PDEP, PEXT, MULX, SHLX and RORX.
	general := table == 2 && opcode >= 0xF2 && opcode <= 0xF7 || table == 3 && opcode == 0xF0
	return end, "VEX", !general
}

// modrmLength returns the length of a ModRM byte with what belongs to it (SDM 2A table 2-2).
func modrmLength(code []byte, at int) int {
	if at >= len(code) {
		return 0
	}
	mod, rm := code[at]>>6, code[at]&7
	n := 1
	if mod != 3 && rm == 4 {
		if at+1 >= len(code) {
			return 0
		}
		n++
		if mod == 0 && code[at+1]&7 == 5 {
			n += 4
		}
	}
	switch {
	case mod == 1:
		n++
	case mod == 2, mod == 0 && rm == 5:
		n += 4
	}
	return n
}
