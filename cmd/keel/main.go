// Keel's kernel: wires the halves together and nothing else.
package main

import (
	"fmt"
	_ "keel/boot"
	_ "keel/vmkernel/core"
	"keel/vmkernel/sys"
	"time"
)

func main() {
	var i sys.Info
	fmt.Println("hello from Go", sys.GetInfo(&i), i.CPUs, i.Memory>>20, i.TSCHz, time.Now())
	time.Sleep(time.Second)
	fmt.Println(time.Now())
	sys.PowerOff()
}
