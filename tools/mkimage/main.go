package main

import (
	"flag"
	"fmt"
	"os"
)

func main() {
	out := flag.String("o", "", "`file` to write the image to")
	symbol := flag.String("entry", "keel/boot.entry32", "`symbol` of the 32-bit entry")
	flag.Usage = func() {
		fmt.Fprintln(os.Stderr, "usage: mkimage [-entry symbol] -o image program")
		flag.PrintDefaults()
	}
	flag.Parse()
	if *out == "" || flag.NArg() != 1 {
		flag.Usage()
		os.Exit(2)
	}
	if err := run(flag.Arg(0), *out, *symbol); err != nil {
		fmt.Fprintf(os.Stderr, "mkimage: %v\n", err)
		os.Exit(1)
	}
}

func run(in, out, symbol string) error {
	raw, err := os.ReadFile(in)
	if err != nil {
		return err
	}
	img, err := convert(raw, symbol)
	if err != nil {
		return fmt.Errorf("%s: %w", in, err)
	}
	if err := os.WriteFile(out, img.bytes, 0o755); err != nil {
		return err
	}
	fmt.Printf("%s: %d KiB, loads at %#x-%#x, entry %#x, build ID %s\n",
		out, (len(img.bytes)+1023)/1024, img.low, img.high, img.entry, img.buildID)
	return nil
}
