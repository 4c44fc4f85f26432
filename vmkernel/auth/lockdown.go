package auth

import (
	"errors"
	"fmt"
	"time"
)

// Lockdown has a host take no claims and no new administrators, except from someone in front of the machine.
//
// Users are made where a CA's key is, far from the host: who stole that key could make himself an administrator. So the
// host remembers administrators by their keys, and once it is locked down lets in no others:
//
//   - Known are the keys that Administrators lists, and those that an administrator has come in with before After was
//     over. A certificate that was renewed for the same key stays known; a new key has to be listed in the seed.
//   - Until one is known, the first that comes in becomes known: a host that was locked down before anybody had come
//     would have no administrator at all. A seed that says `after: now` therefore has to list them.
//   - It holds for the role admin alone: whoever else the CAs sign comes in, and can't change what the host trusts.
//   - Users of a CA that was claimed by someone in front of the machine (`Recover access`) come in, whatever is known.
//   - No CA is added any more, but revoking and distrusting go on.
//
// Nothing but a restart ends it. A host that keeps nothing over a restart then knows only what its seed lists, and takes
// new administrators until After is over again.
type Lockdown struct {
	On             bool
	After          time.Duration // of uptime; 0: from boot on
	Administrators []Fingerprint // of their keys
}

// lockedDown says whether the time has come. The lock is held, or nobody else has s yet.
func (s *Store) lockedDown() bool { return s.lock.On && s.uptime() >= s.lock.After }

// admitAdmin says whether an administrator may come in. The lock is held.
func (s *Store) admitAdmin(id Identity, present bool) error {
	if present || s.admins[id.Key] || len(s.admins) == 0 || !s.lockedDown() {
		return nil
	}
	return refuse(LockedDown, "the host is locked down and doesn't know %s's key %s: "+
		"list it in the seed (trust.lockdown.administrators), or choose `Recover access` in the boot menu", id.Name, id.Key)
}

// know remembers an administrator who has come in: who has shown that he has the key.
func (s *Store) know(id Identity) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.admit(id, s.clock()); err != nil {
		return err
	}
	switch {
	case id.Role != Admin:
	case len(s.admins) < MaxAdmins:
		s.admins[id.Key] = true
	case !s.admins[id.Key]:
		s.unknown = true
	}
	return nil
}

// MaxLockAfter is how far off a lockdown may be.
const MaxLockAfter = 30 * 24 * time.Hour

// Lock locks the host down after a time, 0 for at once, and tells who watches. Those who have come in as administrators by
// then stay known. A lockdown that was set can be brought forward, and not put off: it is to hold against who has stolen an
// administrator's key, too.
func (s *Store) Lock(after time.Duration) error {
	if after < 0 || after > MaxLockAfter {
		return fmt.Errorf("%s is no time for a lockdown to come: give up to %s, or 0s for at once", after, MaxLockAfter)
	}
	s.mu.Lock()
	if at := s.uptime() + after; !s.lock.On || at < s.lock.After {
		s.lock.On, s.lock.After = true, at
	} else if after > 0 {
		defer s.mu.Unlock()
		if s.lockedDown() {
			return errors.New("the host is locked down already, and only a restart ends that")
		}
		return fmt.Errorf("the lockdown comes in %s already: it can't be put off, only brought forward", (s.lock.After - s.uptime()).Round(time.Second))
	}
	s.mu.Unlock()
	s.changed()
	return nil
}

// LockdownState is what there is to say about a host's lockdown.
type LockdownState struct {
	On     bool          // it has come, or will come
	Locked bool          // it has come
	In     time.Duration // until it comes; 0 if it has or never will
	Admins int           // keys that are known
	Full   bool          // an administrator came in who isn't known since these are MaxAdmins
}

// Lockdown returns the state of the host's lockdown.
func (s *Store) Lockdown() LockdownState {
	s.mu.Lock()
	defer s.mu.Unlock()
	state := LockdownState{On: s.lock.On, Locked: s.lockedDown(), Admins: len(s.admins), Full: s.unknown}
	if state.On && !state.Locked {
		state.In = s.lock.After - s.uptime()
	}
	return state
}
