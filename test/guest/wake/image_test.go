package wake

import (
	"bytes"
	"encoding/binary"
	"testing"
)

func TestImageIsAMultibootKernel(t *testing.T) {
	for _, b := range [][]byte{Image(), Spin()} {
		w := func(i int) uint32 { return binary.LittleEndian.Uint32(b[4*i:]) }
		if w(0)+w(1)+w(2) != 0 || w(3) != base || w(4) != base || w(5) != base+uint32(len(b)) || w(7) != entry {
			t.Errorf("header % x, length %d", b[:32], len(b))
		}
	}
}

func TestCodeIsMadeWithTheConstants(t *testing.T) {
	code := Image()[entry-base:]
	for name, want := range map[string][]byte{
		"rounds":       binary.LittleEndian.AppendUint32([]byte{0xBD}, Rounds),
		"delta":        binary.LittleEndian.AppendUint32([]byte{0x05}, Delta),
		"end":          {0xBA, EndPort, 0, 0, 0},
		"latencies":    binary.LittleEndian.AppendUint32([]byte{0xBF}, latencies),
		"stack":        binary.LittleEndian.AppendUint32([]byte{0xBC}, end),
		"vector's IDT": binary.LittleEndian.AppendUint32([]byte{0xA3}, idt+8*vector),
		"LVT":          binary.LittleEndian.AppendUint32([]byte{0xB8}, 2<<17|vector),
		"handler":      binary.LittleEndian.AppendUint32([]byte{0xB8}, uint32(entry+bytes.LastIndex(code, []byte{0x0F, 0x31}))),
	} {
		if !bytes.Contains(code, want) {
			t.Errorf("%s: % x isn't in the code", name, want)
		}
	}
}
