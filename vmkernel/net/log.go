package net

import (
	"time"

	"gvisor.dev/gvisor/pkg/log"
)

// gVisor's stack logs by itself what strangers' packets have led to. They mustn't write to the host's console: what an
// administrator should know Events tell.
func init() { log.SetTarget(silent{}) }

type silent struct{}

// Emit implements log.Emitter.
func (silent) Emit(int, log.Level, time.Time, string, ...any) {}
