// Kernel builds a main package as a kernel, which tools/mkimage then makes bootable.
//
//	go run ./tools/kernel [-plain] -o build/keel.raw ./cmd/keel
//
// The environment says by which toolchain: TOOLCHAIN=go, or TOOLCHAIN=tamago TAMAGO=/path/to/tamago-go/bin/go.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"

	"keel/tools/kernel/toolchain"
)

func main() {
	out := flag.String("o", "build/keel.raw", "`file` to write")
	plain := flag.Bool("plain", false, "build without optimisation")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	t, err := toolchain.FromEnvironment(ctx, ".")
	if err == nil {
		if flag.NArg() != 1 {
			err = fmt.Errorf("give one package, such as ./cmd/keel")
		} else {
			var flags []string
			if *plain {
				flags = []string{"-gcflags=all=-N -l"}
			}
			err = t.Build(ctx, flag.Arg(0), *out, flags...)
		}
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "kernel: %v\n", err)
		os.Exit(1)
	}
}
