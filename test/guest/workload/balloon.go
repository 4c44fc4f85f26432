package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"
)

// modules are the drivers of a memory balloon behind virtio's MMIO transport, in the order of their needs. A guest that
// has them in /modules is to find such a device; others leave the check out.
var modules = []string{"virtio_ring", "virtio", "virtio_mmio", "virtio_balloon"}

// checkBalloon loads the drivers and waits until the kernel has reported its free pages. checkMemory, which comes
// afterwards, then takes all of them back.
func checkBalloon(o options) (string, error) {
	if _, err := os.Stat("/modules"); err != nil {
		return "no modules", nil
	}
	if err := loadModules(); err != nil {
		return "", err
	}
	const balloon = "/sys/bus/virtio/drivers/virtio_balloon/virtio0/"
	features, err := os.ReadFile(balloon + "features")
	if err != nil {
		return "", fmt.Errorf("no balloon: %w", err)
	}
	const statistics, reporting, version1 = 1, 5, 32
	for _, bit := range []int{statistics, reporting, version1} {
		if len(features) <= bit || features[bit] != '1' {
			return "", fmt.Errorf("feature %d isn't agreed on: %s", bit, features)
		}
	}
	// The kernel reports what has been free for 2 s, some at a time. What it has used is interrupts.
	const quiet, limit = 3 * time.Second, 60 * time.Second
	begin := time.Now()
	last, changed := balloonInterrupts(), begin
	for last == 0 || time.Since(changed) < quiet {
		if time.Since(begin) > limit {
			return "", errors.New("free pages aren't reported, or have no end")
		}
		time.Sleep(100 * time.Millisecond)
		if n := balloonInterrupts(); n != last {
			last, changed = n, time.Now()
		}
	}
	return fmt.Sprintf("%d interrupts", last), nil
}

// loadModules loads the drivers of a balloon.
func loadModules() error {
	for _, name := range modules {
		if err := load("/modules/" + name + ".ko"); err != nil {
			return fmt.Errorf("module %s: %w", name, err)
		}
	}
	return nil
}

// load loads a module; one that is there already is fine.
func load(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if errno := finitModule(f.Fd()); errno != 0 && errno != syscall.EEXIST {
		return errno
	}
	return nil
}

// balloonInterrupts is how many the balloon has sent.
func balloonInterrupts() (sum int) {
	text, _ := os.ReadFile("/proc/interrupts")
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if len(fields) == 0 || !strings.HasPrefix(fields[len(fields)-1], "virtio") {
			continue
		}
		for _, f := range fields[1:] {
			n := 0
			if _, err := fmt.Sscan(f, &n); err != nil {
				break
			}
			sum += n
		}
	}
	return sum
}
