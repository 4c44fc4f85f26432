package main

import (
	"flag"
	"fmt"
	"os"
	"time"

	"keel/vmkernel/auth"
	"keel/vmkernel/auth/builtin"
)

func main() {
	var o options
	flag.StringVar(&o.out, "o", "", "`file` to write the image to")
	flag.StringVar(&o.symbol, "entry", "keel/boot.entry32", "`symbol` of the 32-bit entry")
	flag.Func("ca", "`file` of an operator CA: the image then takes only seeds that one of its CAs has signed; may be given more than once",
		func(name string) error { o.cas = append(o.cas, name); return nil })
	flag.Func("revoked", "`file` of revoked certificates, as `keelctl cert revoked -o json` writes it; may be given more than once",
		func(name string) error { o.revoked = append(o.revoked, name); return nil })
	flag.Uint64Var(&o.minimum, "minimum", 0, "the least `sequence` of a seed that the image takes")
	flag.Usage = func() {
		fmt.Fprintln(os.Stderr, "usage: mkimage [-entry symbol] [-ca file]... [-revoked file]... [-minimum sequence] -o image program")
		flag.PrintDefaults()
	}
	flag.Parse()
	if o.out == "" || flag.NArg() != 1 || o.minimum != 0 && len(o.cas) == 0 {
		flag.Usage()
		os.Exit(2)
	}
	if err := run(flag.Arg(0), o); err != nil {
		fmt.Fprintf(os.Stderr, "mkimage: %v\n", err)
		os.Exit(1)
	}
}

type options struct {
	out, symbol  string
	cas, revoked []string
	minimum      uint64
}

func run(in string, o options) error {
	raw, err := os.ReadFile(in)
	if err != nil {
		return err
	}
	info, err := os.Stat(in)
	if err != nil {
		return err
	}
	img, err := convert(raw, o.symbol)
	if err != nil {
		return fmt.Errorf("%s: %w", in, err)
	}
	trust := builtin.Trust{Minimum: o.minimum}
	if trust.Built, err = builtAt(os.Getenv("SOURCE_DATE_EPOCH"), raw, info); err != nil {
		return err
	}
	if err := readCAs(&trust, o.cas); err != nil {
		return err
	}
	if err := readRevoked(&trust, o.revoked); err != nil {
		return err
	}
	if err := img.embed(raw, &trust); err != nil {
		return fmt.Errorf("%s: %w", in, err)
	}
	if err := os.WriteFile(o.out, img.bytes, 0o755); err != nil {
		return err
	}
	fmt.Printf("%s: %d KiB, loads at %#x-%#x, entry %#x, build ID %s\n",
		o.out, (len(img.bytes)+1023)/1024, img.low, img.high, img.entry, img.buildID)
	if len(trust.CAs) > 0 {
		fmt.Printf("%s: built %s, takes seeds from sequence %d on that these have signed:\n", o.out, trust.Built.Format(time.RFC3339), trust.Minimum)
		for _, ca := range trust.CAs {
			fmt.Printf("  %s  %s\n", ca.Subject.CommonName, auth.FingerprintOf(ca))
		}
	}
	if n := len(trust.Revoked); n > 0 {
		fmt.Printf("%s: certificates that it never believes: %d\n", o.out, n)
	}
	return nil
}
