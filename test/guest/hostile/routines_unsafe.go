package hostile

import (
	"bytes"
	"fmt"
	"unsafe"
)

// Slots of the table below the letters are the kernel's own.
const (
	slotStart = iota
	slotHandler
	slotPutc
	slotPuthex
	slotPuts
)

// ExitPort is where the kernels exit: the VM's debug.exitPort must be it.
const ExitPort = 0xF4

// What the kernels write to ExitPort.
const (
	ExitSurvived = 0x31
	ExitHello    = 0x2A
	ExitFailed   = 0x66  // a routine found the machine wrong, and said how
	ExitFault    = 0x100 // and the vector of an exception that nothing provoked
)

// FreshEnd is how much memory a VM must have for the letter f, in bytes.
const FreshEnd = 64 << 20

// Words of up to eight characters that routines print.
const (
	textHostile = 'h' | 'o'<<8 | 's'<<16 | 't'<<24 | 'i'<<32 | 'l'<<40 | 'e'<<48 | ' '<<56
	textFaults  = ' ' | 'f'<<8 | 'a'<<16 | 'u'<<24 | 'l'<<32 | 't'<<40 | 's'<<48 | '='<<56
	textIRQs    = ' ' | 'i'<<8 | 'r'<<16 | 'q'<<24 | 's'<<32 | '='<<40
	textHello   = 'h' | 'e'<<8 | 'l'<<16 | 'l'<<24 | 'o'<<32 | ' '<<40
	textMB      = 'm' | 'u'<<8 | 'l'<<16 | 't'<<24 | 'i'<<32 | 'b'<<40 | 't'<<48
	textPVH     = 'p' | 'v'<<8 | 'h'<<16
	textWrong   = 'w' | 'r'<<8 | 'o'<<16 | 'n'<<24 | 'g'<<32 | ' '<<40
	textForge0  = 0x0D | 'l'<<8 | 'e'<<16 | 'v'<<24 | 'e'<<32 | 'l'<<40 | '='<<48 | 'E'<<56
	textForge1  = 'R' | 'R'<<8 | 'O'<<16 | 'R'<<24 | ' '<<32 | 'm'<<40 | 's'<<48 | 'g'<<56
	textForge2  = '=' | '"'<<8 | 'f'<<16 | 'o'<<24 | 'r'<<32 | 'g'<<40 | 'e'<<48 | 'd'<<56
	textForge3  = '"' | 0x0A<<8 | 0x1B<<16 | '['<<24 | '2'<<32 | 'J'<<40 | 0x1B<<48 | ']'<<56
	textForge4  = '0' | ';'<<8 | 'x'<<16 | 0x07<<24 | 0x1B<<32 | '['<<40 | '6'<<48 | 'n'<<56
	textForge5  = 0x9B | '5'<<8 | 'n'<<16
	textFault   = 'F' | 'A'<<8 | 'U'<<16 | 'L'<<24 | 'T'<<32 | ' '<<40
)

// A routine is code of a TEXT symbol, up to END.
type routine struct {
	slot  byte
	pc    func() uintptr
	about string // of a letter
}

var list = []routine{
	{slotStart, startPC, ""},
	{slotHandler, handlerPC, ""},
	{slotPutc, putcPC, ""},
	{slotPuthex, puthexPC, ""},
	{slotPuts, putsPC, ""},
	{'m', memoryPC, "reads and writes all over the address space"},
	{'p', portsPC, "reads and writes every I/O port in all sizes"},
	{'q', somePortsPC, "the same for each port below 1000H, byte by byte"},
	{'o', stringsPC, "reaches interrupt controllers and timers by string instructions"},
	{'r', msrsPC, "reads and writes MSRs of all ranges"},
	{'v', virtPC, "VMX, SVM and other privileged instructions"},
	{'V', controlPC, "refused values in control and debug registers, some of which QEMU itself lets pass"},
	{'s', selfModifyPC, "changes the instruction that writes to a device"},
	{'a', apicPC, "random values in all registers of the local APIC and the IOAPIC"},
	{'i', stormPC, "interrupts itself, and has the local timer do it every 10,000 ticks"},
	{'I', hurricanePC, "the same with a timer that fires at each tick"},
	{'t', pitPC, "the 8254 at its fastest rate"},
	{'T', timersPC, "the same and the local timer at each tick, with interrupts off"},
	{'D', deadlinePC, "the local timer at a time that is over, with interrupts on and off"},
	{'n', processorsPC, "starts, resets and interrupts the other seven processors without any order"},
	{'w', forgePC, "prints what would forge a line of the host or drive its terminal"},
	{'f', freshPC, "looks for what others left in memory from 2 MiB to FreshEnd, and leaves something in all of it"},
	{'h', helloPC, "prints by which protocol it was booted, and exits"},
	{'x', survivedPC, "exits with ExitSurvived"},
	{'3', triplePC, "faults thrice"},
	{'k', keyboardPC, "resets through the keyboard controller"},
	{'c', acpiResetPC, "resets through ACPI's reset register"},
	{'z', sleepPC, "halts for ever with interrupts off"},
	{'l', loopPC, "loops for ever with interrupts off"},
	{'d', undecodablePC, "writes to a device by an instruction that no device model needs"},
	{'b', idtOfDevicePC, "takes an exception by an interrupt table in a device's registers"},
	{'B', stackOfDevicePC, "takes an interrupt on a stack in a device's registers"},
	{'j', jumpPC, "executes what the local APIC's registers hold"},
}

// Letters lists what a command line can ask for.
func Letters() map[byte]string {
	letters := map[byte]string{}
	for _, r := range list {
		if r.about != "" {
			letters[r.slot] = r.about
		}
	}
	return letters
}

// endMark is what END emits.
var endMark = []byte("\x0F\x0Bend of routine")

// code returns the machine code of the routine.
func (r routine) code() ([]byte, error) {
	const most = 8 << 10
	addr := r.pc()
	text := unsafe.Slice(*(**byte)(unsafe.Pointer(&addr)), most)
	n := bytes.Index(text, endMark)
	if n < 0 {
		return nil, fmt.Errorf("hostile: routine %q has no END", r.slot)
	}
	return bytes.Clone(text[:n+2]), nil // with END's UD2
}

// The addresses of the routines.
func startPC() uintptr
func handlerPC() uintptr
func putcPC() uintptr
func puthexPC() uintptr
func putsPC() uintptr
func memoryPC() uintptr
func freshPC() uintptr
func portsPC() uintptr
func somePortsPC() uintptr
func stringsPC() uintptr
func msrsPC() uintptr
func virtPC() uintptr
func controlPC() uintptr
func selfModifyPC() uintptr
func apicPC() uintptr
func stormPC() uintptr
func hurricanePC() uintptr
func pitPC() uintptr
func timersPC() uintptr
func deadlinePC() uintptr
func processorsPC() uintptr
func forgePC() uintptr
func helloPC() uintptr
func survivedPC() uintptr
func triplePC() uintptr
func keyboardPC() uintptr
func acpiResetPC() uintptr
func sleepPC() uintptr
func loopPC() uintptr
func undecodablePC() uintptr
func idtOfDevicePC() uintptr
func stackOfDevicePC() uintptr
func jumpPC() uintptr
