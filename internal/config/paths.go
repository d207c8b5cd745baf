package config

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// checkPaths finds databases that are one file under two paths, and a
// repository that lies in a database's path or around it. Symbolic links are
// followed as far as the paths exist.
func (c *Config) checkPaths() []fault {
	k := &checks{}
	for i, d := range c.Databases {
		if d.Path == "" {
			continue
		}
		k.at = fmt.Sprintf("databases[%d]", i)
		for j := range c.Databases[:i] {
			k.require(!sameFile(c.Databases[j].Path, d.Path), "path", "%s is the file of databases[%d] already", d.Path, j)
		}
	}
	faults := k.faults
	if c.Repository == "" {
		return faults
	}
	dir := resolve(c.Repository)
	for i, d := range c.Databases {
		if d.Path == "" {
			continue
		}
		f := fault{at: fmt.Sprintf("databases[%d].path", i), overlap: true}
		switch path := resolve(d.Path); {
		case path == dir:
			f.text = fmt.Sprintf("the repository %s is the database file itself", c.Repository)
		case below(path, dir):
			f.text = fmt.Sprintf("the repository %s lies below the database file %s", c.Repository, d.Path)
		case below(dir, path):
			f.text = fmt.Sprintf("the database file %s lies inside the repository %s", d.Path, c.Repository)
		default:
			continue
		}
		faults = append(faults, f)
	}
	return faults
}

// below tells whether path lies somewhere below dir; both are resolved.
func below(dir, path string) bool {
	return path != dir && strings.HasPrefix(path, strings.TrimSuffix(dir, "/")+"/")
}

// sameFile also sees through hard links, where both exist.
func sameFile(a, b string) bool {
	if a == "" || b == "" {
		return false
	}
	if resolve(a) == resolve(b) {
		return true
	}
	ia, errA := os.Stat(a)
	ib, errB := os.Stat(b)
	return errA == nil && errB == nil && os.SameFile(ia, ib)
}

// resolve follows the symbolic links of the longest part of path that exists.
func resolve(path string) string {
	path = filepath.Clean(path)
	if real, err := filepath.EvalSymlinks(path); err == nil {
		return real
	}
	parent := filepath.Dir(path)
	if parent == path {
		return path
	}
	return filepath.Join(resolve(parent), filepath.Base(path))
}
