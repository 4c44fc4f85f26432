#include "textflag.h"

TEXT ·Linked(SB), NOSPLIT, $0
	RET

// OUT writes a byte to a port: mov dx, lo+256*hi; mov al, value; out dx, al.
#define OUT(hi, lo, value) \
	BYTE $0x66; BYTE $0xBA; BYTE $lo; BYTE $hi; BYTE $0xB0; BYTE $value; BYTE $0xEE

// entry32 is entered in 32-bit protected mode, so its instructions are given
// as bytes. It writes "OK" to the first serial port, then, when entered by
// multiboot2, a letter for each tag of the boot information ('A' + its type),
// a newline, and switches the machine off through ACPI where QEMU and Bochs
// have it.
TEXT ·entry32(SB), NOSPLIT|NOFRAME, $0
	BYTE $0x89; BYTE $0xC7                         // mov edi, eax
	BYTE $0x89; BYTE $0xDE                         // mov esi, ebx

	// 115200 baud, 8N1, FIFO on, RTS and DTR.
	OUT(0x03, 0xFB, 0x83)
	OUT(0x03, 0xF9, 0x00)
	OUT(0x03, 0xF8, 0x01)
	OUT(0x03, 0xFB, 0x03)
	OUT(0x03, 0xFA, 0x07)
	OUT(0x03, 0xFC, 0x03)

	OUT(0x03, 0xF8, 'O')
	OUT(0x03, 0xF8, 'K')
	BYTE $0x81; BYTE $0xFF; LONG $0x36D76289       // cmp edi, multiboot2's magic
	BYTE $0x75; BYTE $0x19                         // jne end
	BYTE $0x83; BYTE $0xC6; BYTE $0x08             // add esi, 8

	// next:
	BYTE $0x8B; BYTE $0x06             // mov eax, [esi]
	BYTE $0x04; BYTE $'A'              // add al, 'A'
	BYTE $0xEE                         // out dx, al
	BYTE $0x3C; BYTE $'A'              // cmp al, 'A'
	BYTE $0x74; BYTE $0x0D             // je end
	BYTE $0x8B; BYTE $0x46; BYTE $0x04 // mov eax, [esi+4]
	BYTE $0x83; BYTE $0xC0; BYTE $0x07 // add eax, 7
	BYTE $0x83; BYTE $0xE0; BYTE $0xF8 // and eax, -8
	BYTE $0x01; BYTE $0xC6             // add esi, eax
	BYTE $0xEB; BYTE $0xEA             // jmp next

	// end:
	BYTE $0xB0; BYTE $0x0A; BYTE $0xEE // mov al, '\n'; out dx, al
	BYTE $0x66; BYTE $0xBA; BYTE $0xFD; BYTE $0x03 // mov dx, 0x3fd
	BYTE $0xEC                         // in al, dx
	BYTE $0xA8; BYTE $0x40             // test al, 0x40 (transmitter empty)
	BYTE $0x74; BYTE $0xFB             // jz back to in
	BYTE $0x66; BYTE $0xBA; BYTE $0x04; BYTE $0x06 // mov dx, 0x604 (QEMU's PM1a_CNT)
	BYTE $0x66; BYTE $0xB8; BYTE $0x00; BYTE $0x20 // mov ax, 0x2000 (S5: type 0, enable)
	BYTE $0x66; BYTE $0xEF                         // out dx, ax
	BYTE $0x66; BYTE $0xBA; BYTE $0x04; BYTE $0xB0 // mov dx, 0xb004 (Bochs')
	BYTE $0x66; BYTE $0xEF                         // out dx, ax
	BYTE $0xF4                         // hlt
	BYTE $0xEB; BYTE $0xFD             // jmp back to hlt

	// Never reached: it makes the linker keep the rest of the program.
	JMP _rt0_amd64_linux(SB)
