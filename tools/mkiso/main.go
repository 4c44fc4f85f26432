// Mkiso writes Keel's boot medium.
//
//	go run ./tools/mkiso -kernel build/keel.elf [-seed seed.tar] [-args "words"] [-quick] -o build/keel.iso
//
// Everything that it does is package boot/iso's.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"

	"keel/boot/iso"
)

func main() {
	var o iso.Options
	out := flag.String("o", "", "`file` to write the medium to")
	flag.StringVar(&o.Kernel, "kernel", "build/keel.elf", "kernel image `file`")
	flag.StringVar(&o.Seed, "seed", "", "seed `file` to put on the medium")
	flag.StringVar(&o.Args, "args", "", "`words` to add to the kernel's command line")
	flag.BoolVar(&o.Quick, "quick", false, "boot at once, without showing the menu")
	flag.Parse()
	if *out == "" || flag.NArg() != 0 {
		flag.Usage()
		os.Exit(2)
	}
	if err := iso.Build(context.Background(), *out, o); err != nil {
		fmt.Fprintf(os.Stderr, "mkiso: %v\n", err)
		os.Exit(1)
	}
	if info, err := os.Stat(*out); err == nil {
		fmt.Printf("%s: %d KiB\n", *out, info.Size()/1024)
	}
}
