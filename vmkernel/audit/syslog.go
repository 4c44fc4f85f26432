package audit

import (
	"bytes"
	"encoding/base64"
	"strconv"

	"golang.org/x/mod/sumdb/tlog"
)

// A record goes to the collector as a message of RFC 5424, framed by its length (RFC 5425, 4.3):
//
//	LEN <109>1 2026-11-28T18:51:23.000000Z keel-1 keel BOOT intent [keel@32473 seq="12" hash="…"] {"seq":12,…}
//
// PROCID is the boot's id: as RFC 5424 (6.2.6) has it, another value says that the log began anew. BOOT and seq together
// tell a message that was sent twice; hash is the record's leaf in the tree, and what follows the record as it was
// hashed. 32473 is the enterprise number that RFC 5612 sets aside for examples: Keel has none of its own.
const (
	sdID     = "keel@32473"
	facility = 13 // log audit

	warning = 4
	notice  = 5
	info    = 6
)

// severities are those of the kinds of records.
var severities = map[string]int{kindIntent: notice, kindOutcome: info, kindEvent: notice, kindRefused: warning, kindCounted: notice}

// stamp returns a record's time and kind, which are at a known place.
func stamp(record []byte) (at, kind string) {
	const before, between = `"time":"`, `","kind":"`
	i := bytes.Index(record, []byte(before)) + len(before)
	j := i + len(timeFormat) + len(between)
	k := bytes.IndexByte(record[j:], '"')
	return string(record[i : i+len(timeFormat)]), string(record[j : j+k])
}

// message appends the frame of a message with the structured data and text given.
func (l *Log) message(to []byte, severity int, at, id string, data, text []byte) []byte {
	var b [MaxRecord + 512]byte
	m := append(b[:0], '<')
	m = strconv.AppendInt(m, int64(facility<<3|severity), 10)
	m = append(m, ">1 "...)
	m = append(m, at...)
	m = append(m, ' ')
	m = append(m, l.host...)
	m = append(m, " keel "...)
	m = append(m, l.boot...)
	m = append(m, ' ')
	m = append(m, id...)
	m = append(m, " ["+sdID...)
	m = append(m, data...)
	m = append(m, "] "...)
	m = append(m, text...)
	to = strconv.AppendInt(to, int64(len(m)), 10)
	to = append(to, ' ')
	return append(to, m...)
}

// recordMessage appends a record's message.
func (l *Log) recordMessage(to []byte, seq int64, record []byte) []byte {
	at, kind := stamp(record)
	hash := tlog.RecordHash(record)
	var b [128]byte
	data := append(b[:0], ` seq="`...)
	data = strconv.AppendInt(data, seq, 10)
	data = append(data, `" hash="`...)
	data = base64.StdEncoding.AppendEncode(data, hash[:])
	data = append(data, '"')
	return l.message(to, severities[kind], at, kind, data, record)
}

// checkpointMessage appends a signed checkpoint's message, whose parameter note is the note in base64: with it a
// collector has the proof of all that came before, whatever the host says later.
func (l *Log) checkpointMessage(to, signed []byte, size int64) []byte {
	data := append([]byte(` size="`), strconv.FormatInt(size, 10)...)
	data = append(data, `" note="`...)
	data = base64.StdEncoding.AppendEncode(data, signed)
	data = append(data, '"')
	return l.message(to, info, l.now().UTC().Format(timeFormat), "checkpoint", data, []byte(l.origin))
}
