package hotcopy

import (
	"os"
	"path/filepath"
	"slices"

	"canvasback/internal/failure"
)

// maxLinks bounds a chain of symbolic links, as Linux does.
const maxLinks = 40

// names are the paths that the owner may have opened the database by: its WAL
// lies beside one of them.
type names struct {
	told   []string // the path, the links that it leads through, the file's own
	plain  []string // the same, without links on the way to them
	real   string   // the file's own, without links at all; empty: it cannot be found out
	opened []string // those by which the present owner is seen to have it open
}

func namesOf(path string) names {
	n := names{told: []string{path}}
	for link := path; len(n.told) < maxLinks; {
		target, err := os.Readlink(link)
		if err != nil {
			break
		}
		if !filepath.IsAbs(target) {
			target = filepath.Join(filepath.Dir(link), target)
		}
		link = target
		n.told = append(n.told, link)
	}
	if abs, err := filepath.Abs(path); err == nil {
		if n.real, err = filepath.EvalSymlinks(abs); err == nil && !slices.Contains(n.told, n.real) {
			n.told = append(n.told, n.real)
		}
	}
	for _, name := range n.told {
		n.plain = append(n.plain, withPlainDir(name))
	}
	return n
}

// withPlainDir is a path whose directory is written without links. Its last
// element may be one.
func withPlainDir(path string) string {
	abs, err := filepath.Abs(path)
	if err != nil {
		return path
	}
	dir, err := filepath.EvalSymlinks(filepath.Dir(abs))
	if err != nil {
		return abs
	}
	return filepath.Join(dir, filepath.Base(abs))
}

func (n *names) all() []string {
	all := slices.Clone(n.told)
	for _, name := range n.opened {
		if !slices.Contains(all, name) {
			all = append(all, name)
		}
	}
	return all
}

// owners says whether the owner has the database open by this name, as far as
// that is known; else, whether it is the file's own name and no link's.
func (n *names) owners(name string) bool {
	if i := slices.Index(n.told, name); i >= 0 {
		name = n.plain[i]
	}
	if len(n.opened) > 0 {
		return slices.Contains(n.opened, name)
	}
	return n.real == "" || name == n.real
}

// askOwner finds the paths by which the present owner has the database open.
func (s *source) askOwner(o *Options) error {
	pid, held, err := s.db.LockOwner()
	if err != nil {
		return sourceError(s.path, err)
	}
	s.names.opened = nil
	if held && pid != 0 {
		s.names.opened = o.opened(pid, s.info.Dev, s.info.Ino)
	}
	return nil
}

// named refuses a database with several hard links where no WAL was found and
// nobody tells which name the owner goes by: the WAL may lie beside another.
func (s *source) named(v *view) error {
	if s.info.Links <= 1 || len(s.names.opened) > 0 || v.main.file != nil || v.side.file != nil {
		return nil
	}
	return failure.Errorf(failure.ManyNames, "%s has %d names (hard links), and its WAL, if there is one, lies beside the one that its service opens", s.path, s.info.Links)
}

// belongs refuses a WAL that is not the owner's. DuckDB locks its database and
// its WAL: one that another process holds stayed when the database was replaced
// under its owner. One beside a link is the owner's if the owner holds it, or is
// DuckDB up to 1.4; else an older process may have left it there.
func (s *source) belongs(l *log, o *Options) error {
	if l.file == nil {
		return nil
	}
	pid, held, err := l.file.LockOwner()
	if err != nil {
		return sourceError(l.path, err)
	}
	owner, owned, err := s.db.LockOwner()
	if err != nil {
		return sourceError(s.path, err)
	}
	switch {
	case held && owned && owner == pid:
		return nil
	case held:
		return failure.Errorf(failure.Replaced, "%s is held by process %d, which does not hold %s: the database was replaced under the service that writes this WAL", l.path, pid, s.path)
	case l.wal.End > l.wal.Header.Size && !upTo14(o.EngineVersion) && !s.names.owners(l.base):
		return failure.Errorf(failure.ManyNames, "%s lies beside a name by which nobody is seen to have %s open: DuckDB up to 1.4 puts its WAL there if it opens that name, later versions beside the file", l.path, s.path)
	}
	return nil
}
