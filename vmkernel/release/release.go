package release

import "runtime/debug"

// Unstamped is the version of what wasn't built from a git checkout: of an unpacked archive, or a git worktree, which the
// toolchain doesn't look into.
const Unstamped = "(unstamped)"

// Version is what a program was built from.
type Version struct {
	Name     string // a tag or a pseudo-version, of semantic versioning; or Unstamped
	Revision string // the commit; empty: not known
	Time     string // the commit's, RFC 3339 in UTC; empty: not known
}

// Own returns the version of the program that calls it.
func Own() Version {
	info, _ := debug.ReadBuildInfo()
	return of(info)
}

func of(info *debug.BuildInfo) Version {
	v := Version{Name: Unstamped}
	if info == nil {
		return v
	}
	if name := info.Main.Version; name != "" && name != "(devel)" {
		v.Name = name
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			v.Revision = s.Value
		case "vcs.time":
			v.Time = s.Value
		}
	}
	return v
}
