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
	opened []string // those by which the owner has it open, and which are not told
	known  bool     // the owner was seen to have it open
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
		n.add(&n.told, link)
	}
	if real, err := filepath.EvalSymlinks(path); err == nil {
		n.add(&n.told, real)
	}
	return n
}

func (n *names) add(to *[]string, path string) {
	if !slices.Contains(n.told, path) && !slices.Contains(n.opened, path) {
		*to = append(*to, path)
	}
}

func (n *names) all() []string { return slices.Concat(n.told, n.opened) }

// askOwner adds the paths by which the present owner has the database open.
func (s *source) askOwner() error {
	pid, held, err := s.db.LockOwner()
	if err != nil {
		return sourceError(s.path, err)
	}
	if !held || pid == 0 {
		return nil
	}
	for _, name := range openNames(pid, s.info.Dev, s.info.Ino) {
		s.names.add(&s.names.opened, name)
		s.names.known = true
	}
	return nil
}

// named refuses a database with several hard links where no WAL was found and
// nobody tells which name the owner goes by: the WAL may lie beside another.
func (s *source) named(v *view) error {
	if s.info.Links <= 1 || s.names.known || v.main.file != nil || v.side.file != nil {
		return nil
	}
	return failure.Errorf(failure.ManyNames, "%s has %d names (hard links), and its WAL, if there is one, lies beside the one that its service opens", s.path, s.info.Links)
}

// foreign refuses a WAL that another process holds than the database: the
// database was replaced under its owner, whose WAL stayed. DuckDB locks both.
func (s *source) foreign(l *log) error {
	if l.file == nil {
		return nil
	}
	pid, held, err := l.file.LockOwner()
	if err != nil {
		return sourceError(l.path, err)
	}
	if !held {
		return nil
	}
	owner, owned, err := s.db.LockOwner()
	if err != nil {
		return sourceError(s.path, err)
	}
	if owned && owner == pid {
		return nil
	}
	return failure.Errorf(failure.Replaced, "%s is held by process %d, which does not hold %s: the database was replaced under the service that writes this WAL", l.path, pid, s.path)
}
