package mmio

import (
	"bufio"
	"fmt"
	"os"
	"strings"
	"testing"
)

var actions = map[string]Action{
	"add": Add, "or": Or, "adc": Adc, "sbb": Sbb, "and": And, "sub": Sub, "xor": Xor, "cmp": Cmp, "test": Test,
	"inc": Inc, "dec": Dec, "not": Not, "neg": Neg, "bt": Bt, "bts": Bts, "btr": Btr, "btc": Btc,
}

// TestArithmeticIsAsOnAProcessor compares with what one did.
func TestArithmeticIsAsOnAProcessor(t *testing.T) {
	f, err := os.Open("testdata/alu.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	cases := 0
	for s := bufio.NewScanner(f); s.Scan(); {
		if strings.HasPrefix(s.Text(), "#") {
			continue
		}
		var name string
		var size uint8
		var a, b, before, want, flags uint64
		if _, err := fmt.Sscanf(s.Text(), "%s %d %x %x %x %x %x", &name, &size, &a, &b, &before, &want, &flags); err != nil {
			t.Fatalf("%q: %v", s.Text(), err)
		}
		const others = flagDF | 1<<9 | 1<<1 // must stay
		r, after := alu(actions[name], a, b, size, before|others)
		if do := actions[name]; do == Cmp || do == Test {
			r = a
		}
		if r != want || after != flags|others {
			t.Errorf("%s: got %x, flags %x", s.Text(), r, after&^others)
		}
		cases++
	}
	if cases < 300 {
		t.Errorf("only %d cases", cases)
	}
}
