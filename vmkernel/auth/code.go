package auth

import (
	"crypto/rand"
	"fmt"
	"strings"
)

// codeAlphabet is Crockford's base 32: no letter in it is taken for a digit, or the other way round.
const codeAlphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

// codeDigits is how many digits a code has: 80 bits. They are not to be guessed even by one who has a proof made with
// the code, and all the time and machines that he likes.
const codeDigits = 16

// newCode makes a one-time code.
func newCode() string {
	var random [codeDigits]byte
	rand.Read(random[:])
	var b strings.Builder
	for i, c := range random {
		if i > 0 && i%4 == 0 {
			b.WriteByte('-')
		}
		b.WriteByte(codeAlphabet[c%32])
	}
	return b.String()
}

// ParseCode reads a code as someone has typed it from a screen: in either case, with or without its dashes, and with the
// letters O, I and L for the digits that they look like.
func ParseCode(s string) (string, error) {
	var b strings.Builder
	n := 0
	for _, c := range strings.ToUpper(s) {
		switch c {
		case '-', ' ':
			continue
		case 'O':
			c = '0'
		case 'I', 'L':
			c = '1'
		}
		if !strings.ContainsRune(codeAlphabet, c) || n == codeDigits {
			n = -1
			break
		}
		if n > 0 && n%4 == 0 {
			b.WriteByte('-')
		}
		b.WriteRune(c)
		n++
	}
	if n != codeDigits {
		return "", fmt.Errorf("this is not a code; one has %d letters and digits, as in 7K3M-9QRT-4XWB-D2HN", codeDigits)
	}
	return b.String(), nil
}
