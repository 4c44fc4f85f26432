package audit

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// Memory is what a client remembers of one host's logs: of each boot the latest head that it has verified. keelctl keeps
// it in a file. The zero value is a client's that hasn't seen the host yet.
type Memory struct {
	Boots []Remembered `json:"boots"` // in the order in which they were first seen; the last is the host's present one
}

// Remembered is the latest head of a boot's log.
type Remembered struct {
	Note string    `json:"note"` // the signed checkpoint
	Key  []byte    `json:"key"`  // SubjectPublicKeyInfo of the key that has signed it
	Seen time.Time `json:"seen"` // by the client's clock
}

// Limits of what is remembered of a host.
const (
	maxBoots  = 64 // older ones are forgotten
	maxMemory = maxBoots * 2 * maxNote
)

// ParseMemory parses the JSON of a Memory.
func ParseMemory(data []byte) (*Memory, error) {
	if len(data) > maxMemory {
		return nil, fmt.Errorf("audit: what is remembered of a host has %d bytes: at most %d are read", len(data), maxMemory)
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	m := &Memory{}
	if err := d.Decode(m); err != nil {
		return nil, fmt.Errorf("audit: what is remembered of a host: %w", err)
	}
	if len(m.Boots) > maxBoots {
		return nil, errors.New("audit: too many boots are remembered of a host")
	}
	for _, b := range m.Boots {
		if _, err := parseCheckpoint([]byte(b.Note)); err != nil {
			return nil, fmt.Errorf("audit: what is remembered of a host: %w", err)
		}
	}
	return m, nil
}

// Last is the head remembered latest, or nil.
func (m *Memory) Last() *Checkpoint {
	if len(m.Boots) == 0 {
		return nil
	}
	c, err := parseCheckpoint([]byte(m.Boots[len(m.Boots)-1].Note))
	if err != nil {
		return nil
	}
	return c
}

// Forget forgets all that is remembered: the next log is the first. Whoever calls it takes what is there on trust.
func (m *Memory) Forget() { m.Boots = nil }

// find returns what is remembered of the log of that origin, or -1 and nil.
func (m *Memory) find(origin string) (int, *Checkpoint, error) {
	for i, b := range m.Boots {
		c, err := parseCheckpoint([]byte(b.Note))
		if err != nil {
			return -1, nil, fmt.Errorf("audit: what is remembered of a host: %w", err)
		}
		if c.Origin == origin {
			return i, c, nil
		}
	}
	return -1, nil, nil
}

// remember remembers a log's head.
func (m *Memory) remember(origin string, e *Export, now time.Time) {
	i, _, _ := m.find(origin)
	if i < 0 {
		if len(m.Boots) == maxBoots {
			m.Boots = append(m.Boots[:0], m.Boots[1:]...)
		}
		i = len(m.Boots)
		m.Boots = append(m.Boots, Remembered{})
	}
	m.Boots[i] = Remembered{Note: string(e.Head.Note), Key: e.Key, Seen: now}
}
