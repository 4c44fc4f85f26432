package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"keel/vmkernel/datastore"
	"keel/vmkernel/seed"
	"keel/vmkernel/sys"
	"keel/vmkernel/vm"
)

func checkType(ctx context.Context, e *env) (string, error) {
	began := time.Now()
	const lines = 10
	for i := range lines {
		if err := e.answers(ctx, 40+i); err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("%v a line", (time.Since(began) / lines).Round(time.Microsecond)), nil
}

// checkPaste pastes 100 KiB, and the guest says what came.
func checkPaste(ctx context.Context, e *env) (string, error) {
	const size = 100 << 10
	var text []byte
	for i := 0; len(text) < size; i++ {
		text = fmt.Appendf(text, "line %09d\n", i)
	}
	text = text[:size]
	text[size-1] = '\n'
	sum := sha256.Sum256(text)
	if err := errors.Join(e.typeTo(ctx, fmt.Sprintf("echo go''ing; head -c %d >/tmp/paste; sha256sum /tmp/paste\n", size)), e.expect(ctx, "going")); err != nil {
		return "", err
	}
	began := time.Now()
	if err := e.typeTo(ctx, string(text)); err != nil {
		return "", err
	}
	if err := e.expect(ctx, hex.EncodeToString(sum[:])); err != nil {
		return "", err
	}
	return fmt.Sprintf("%d bytes in %v", size, time.Since(began).Round(time.Millisecond)), e.answers(ctx, 50)
}

func checkPause(ctx context.Context, e *env) (string, error) {
	began := time.Now()
	if err := e.v.Pause(ctx); err != nil {
		return "", err
	}
	took := time.Since(began)
	before, _ := e.v.Stats()
	time.Sleep(200 * time.Millisecond)
	after, running := e.v.Stats()
	if !running || after.Guest != before.Guest {
		return "", fmt.Errorf("it ran %d ticks while it was paused", after.Guest-before.Guest)
	}
	if err := e.v.Resume(); err != nil {
		return "", err
	}
	return fmt.Sprintf("after %v", took.Round(time.Microsecond)), e.answers(ctx, 60)
}

// checkNMI sends an NMI, of which Linux says that it doesn't know why.
func checkNMI(ctx context.Context, e *env) (string, error) {
	if err := e.v.NMI(); err != nil {
		return "", err
	}
	if err := e.expect(ctx, "NMI received for unknown reason"); err != nil {
		return "", err
	}
	return "", e.answers(ctx, 70)
}

func checkReset(ctx context.Context, e *env) (string, error) {
	began := time.Now()
	if err := errors.Join(e.typeTo(ctx, "echo >/tmp/mark\n"), e.v.Reset(), e.expect(ctx, "shell ready")); err != nil {
		return "", err
	}
	took := time.Since(began)
	if s := e.v.Status(); s.Reboots != 1 || s.LastStop == nil || s.LastStop.Cause != vm.HostReset {
		return "", fmt.Errorf("%+v", s)
	}
	if err := errors.Join(e.typeTo(ctx, "ls /tmp/mark || echo fr''esh\n"), e.expect(ctx, "fresh")); err != nil {
		return "", err
	}
	return fmt.Sprintf("%v to the shell", took.Round(time.Millisecond)), e.answers(ctx, 80)
}

// checkShutdown presses the power button of a guest that nobody told what that is for.
func checkShutdown(ctx context.Context, e *env) (string, error) {
	spec := *e.v.Spec()
	spec.StopTimeout = seed.Duration(500 * time.Millisecond)
	if err := errors.Join(e.v.Update(spec, 0), e.v.Shutdown(ctx)); err != nil {
		return "", err
	}
	s := e.v.Status()
	if s.State != vm.Off || !strings.Contains(s.LastStop.String(), "didn't switch itself off within 500ms") {
		return "", fmt.Errorf("%s: %s", s.State, s.LastStop)
	}
	return "killed", e.start(ctx)
}

// checkImages uploads the kernel under another name, in pieces, and boots from it by its digest.
func checkImages(ctx context.Context, e *env) (string, error) {
	images := e.m.Images()
	if err := e.v.Kill(ctx); err != nil {
		return "", err
	}
	was := *e.v.Spec()
	c, err := images.Open(was.Boot.Direct.Kernel)
	if err != nil {
		return "", err
	}
	defer c.Close()
	data := append(bytes.Clone(c.Bytes()), 0) // so that its digest isn't that of the seed's
	sum := sha256.Sum256(data)
	defer runtime.KeepAlive(data) // so that it is in what is measured before and in all that is measured after
	before := memory().UsedMemory
	info, err := images.Create(datastore.Declaration{Name: "uploaded", Size: int64(len(data)), SHA256: hex.EncodeToString(sum[:])})
	for err == nil && !info.Complete {
		info, err = images.Append("uploaded", info.Offset, bytes.NewReader(data[info.Offset:min(info.Offset+1<<20, info.Size)]))
	}
	if err != nil {
		return "", err
	}
	const spare = 1 << 20 // other garbage than at first
	took := int64(memory().UsedMemory - before)
	if took < info.Size-spare || took > info.Size+spare {
		return "", fmt.Errorf("an image of %d bytes took %d", info.Size, took)
	}
	spec := was
	spec.Boot.Direct.Kernel = info.Digest()
	var inUse *datastore.UsedError
	if err := errors.Join(e.v.Update(spec, 0), e.start(ctx)); err != nil {
		return "", err
	}
	if err := images.Delete("uploaded"); !errors.As(err, &inUse) {
		return "", fmt.Errorf("deleted while it is in use: %v", err)
	}
	if err := errors.Join(e.v.Kill(ctx), e.v.Update(was, 0), images.Delete("uploaded")); err != nil {
		return "", err
	}
	var left int64
	for range 100 {
		if left = int64(memory().UsedMemory - before); left < spare {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if left >= spare {
		return "", fmt.Errorf("%d bytes are still taken", left)
	}
	return fmt.Sprintf("%d bytes took %d, %d when deleted", info.Size, took, left), e.start(ctx)
}

// checkChurn starts and kills the VM until what is lost each time would show.
func checkChurn(ctx context.Context, e *env) (string, error) {
	const times, spare = 20, 2 << 20
	if err := e.v.Kill(ctx); err != nil {
		return "", err
	}
	before := memory().FreeMemory
	for i := range times {
		if err := e.v.Start(ctx); err != nil {
			return "", fmt.Errorf("start %d: %w", i, err)
		}
		if i%2 == 0 {
			time.Sleep(20 * time.Millisecond)
		}
		if err := e.v.Kill(ctx); err != nil {
			return "", fmt.Errorf("kill %d: %w", i, err)
		}
	}
	lost := int64(before - memory().FreeMemory)
	if lost > spare {
		return "", fmt.Errorf("%d starts and kills have cost %d bytes", times, lost)
	}
	return fmt.Sprintf("%d starts, %d bytes less free", times, lost), e.start(ctx)
}

// memory is what the host says of its memory, when what is garbage by now has been given back.
func memory() (s sys.Stats) {
	debug.FreeOSMemory()
	sys.GetStats(&s)
	return s
}
