package audit

import "time"

// Class says what may still be done while the collector doesn't take records (pressure.go). The zero value is the
// strictest, so that a call whose class was forgotten is treated as a change.
type Class uint8

const (
	ClassChange Class = iota // changes the host or a VM, or sets it going
	ClassRead                // changes nothing
	ClassStop                // stops VMs, shuts the host down
	ClassRepair              // changes the forwarding of this log
)

var classNames = [...]string{"change", "read", "stop", "repair"}

func (c Class) String() string { return classNames[c] }

// Who is an authenticated caller. Each text is cut to its limit and otherwise recorded as it is.
type Who struct {
	Name   string // 64 bytes
	Role   string // 16 bytes
	Serial string // of the certificate; 64 bytes
	Issuer string // fingerprint of the CA's key; 64 bytes
}

// Entry is an act that is about to happen (Begin), or something that has happened (Event).
type Entry struct {
	Who    Who
	From   string // address and port; 64 bytes
	Method string // 8 bytes
	Action string // the route, or an event's name such as vm.started; 96 bytes
	On     string // the object, such as a VM's name; 128 bytes
	Class  Class
	Cause  ID     // an event's: the call that set it going, if one did
	Detail string // 256 bytes
}

// ID is a call's: the number of its intent in the log. The zero ID is no call's: the log's first record is an event.
type ID int64

// counted is the ID of a call that is counted instead of recorded (counted.go).
const counted ID = -1

// Result is how a call ended.
type Result string

const (
	OK          Result = "ok"
	Denied      Result = "denied"      // by role, scope or lockdown
	Failed      Result = "failed"      // and changed nothing, unless the detail says so
	Accepted    Result = "accepted"    // goes on; events with its Cause follow
	Interrupted Result = "interrupted" // the host closed the log meanwhile: unknown
)

// Outcome is what came of a call.
type Outcome struct {
	Result Result // 16 bytes
	Code   int    // HTTP status
	Detail string // 256 bytes
}

// Limits of what is recorded, bytes. A text is cut at its limit; characters that JSON escapes count as their escapes.
const (
	maxName   = 64
	maxRole   = 16
	maxSerial = 64
	maxIssuer = 64
	maxFrom   = 64
	maxMethod = 8
	maxAction = 96
	maxOn     = 128
	maxDetail = 256
	maxResult = 16

	// MaxRecord is the longest record. With its header it stays within the 2,048 bytes that each receiver of
	// RFC 5425 (4.3) takes.
	MaxRecord = 1536
)

// Kinds of records.
const (
	kindIntent  = "intent"
	kindOutcome = "outcome"
	kindEvent   = "event"
	kindRefused = "refused"
	kindCounted = "counted"
)

// Events that the log records of itself.
const (
	actionBegin   = "audit.begin"   // its first record
	actionDrop    = "audit.drop"    // the data of records first to last are gone
	actionForward = "audit.forward" // the collector is another
	actionEnd     = "audit.end"     // its last record
)

// clock reads the time.
type clock func() time.Time
