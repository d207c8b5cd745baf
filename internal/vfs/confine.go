package vfs

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// ErrLink: a symbolic link stands where a confined file system wants a file or
// a directory. It was not followed.
var ErrLink = errors.New("it is a symbolic link, and none is followed here")

// ErrSpecial: a pipe, a socket or a device stands there. It was not opened, or
// was closed again without waiting for anything.
var ErrSpecial = errors.New("it is neither a file nor a directory")

// errUnsteady: the name leads to something else at every look.
var errUnsteady = errors.New("it is replaced again and again while it is opened")

// looks is how often a name that changes under the hands is tried again. Files
// that are replaced by a rename, as manifests are, need the second one at times.
const looks = 100

// confinedFS is the file system of the machine, with some of its directories
// confined: see FS.Confine. It holds no descriptors, so a directory that is
// mounted anew is found again.
type confinedFS struct {
	osFS
	places []place // no two alike
}

// place is a confined directory: dir as its user spells it, real without links.
type place struct{ dir, real string }

func (osFS) Confine(dir string) (FS, error)          { return confine(nil, dir) }
func (c *confinedFS) Confine(dir string) (FS, error) { return confine(c.places, dir) }

func confine(places []place, dir string) (FS, error) {
	c := &confinedFS{places: places}
	dir = filepath.Clean(dir)
	if _, _, ok := c.find(dir); ok {
		return c, nil // as strictly as could be
	}
	real, err := filepath.EvalSymlinks(dir)
	if err == nil {
		real, err = filepath.Abs(real)
	}
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: dir, Err: cause(err)}
	}
	c.places = append(append([]place(nil), places...), place{dir, real})
	return c, nil
}

// find tells in which place name is, the innermost of several, and its path from
// there: "." for the place itself.
func (c *confinedFS) find(name string) (in place, rel string, ok bool) {
	name = filepath.Clean(name)
	for _, p := range c.places {
		if ok && len(p.dir) < len(in.dir) {
			continue
		}
		if name == p.dir {
			in, rel, ok = p, ".", true
		} else if below, is := strings.CutPrefix(name, strings.TrimSuffix(p.dir, "/")+"/"); is {
			in, rel, ok = p, below, true
		}
	}
	return in, rel, ok
}

// at runs do with the directory that holds the path rel of the place, and the
// path's last element. Each directory on the way is looked at after it was
// opened: it is the one that has the name, and the name is no link. Whatever
// happens to the names meanwhile, os.Root does not leave the place.
func (p place) at(rel string, do func(dir *os.Root, base string) error) error {
	dir, err := os.OpenRoot(p.real)
	if err != nil {
		return &fs.PathError{Op: "open", Path: p.dir, Err: cause(err)}
	}
	defer func() { dir.Close() }()
	walked := p.dir
	for {
		part, rest, more := strings.Cut(rel, "/")
		if !more {
			return do(dir, part)
		}
		walked = filepath.Join(walked, part)
		next, err := step(dir, part)
		if err != nil {
			return &fs.PathError{Op: "open", Path: walked, Err: cause(err)}
		}
		dir.Close()
		dir, rel = next, rest
	}
}

// step opens the directory base of dir.
func step(dir *os.Root, base string) (*os.Root, error) {
	failed := errUnsteady
	for range looks {
		named, err := dir.Lstat(base)
		switch {
		case err != nil:
			return nil, err
		case named.Mode()&fs.ModeSymlink != 0:
			return nil, ErrLink
		case !named.IsDir():
			return nil, syscall.ENOTDIR
		}
		next, err := dir.OpenRoot(base)
		if err != nil {
			failed = err
			continue
		}
		opened, err := next.Stat(".")
		if err == nil && os.SameFile(named, opened) {
			return next, nil
		}
		next.Close()
	}
	return nil, failed
}

// do is at for an operation on name. An error names what it is of: a link on
// the way, or else name.
func (p place) do(op, name, rel string, run func(dir *os.Root, base string) error) error {
	var failed error
	err := p.at(rel, func(dir *os.Root, base string) error {
		failed = run(dir, base)
		return nil
	})
	if failed != nil {
		err = &fs.PathError{Op: op, Path: name, Err: cause(failed)}
	}
	return err
}

// cause takes off the paths that package os has put around an error: they are
// not those that the caller knows.
func cause(err error) error {
	for {
		if path, ok := errors.AsType[*fs.PathError](err); ok {
			err = path.Err
		} else if link, ok := errors.AsType[*os.LinkError](err); ok {
			err = link.Err
		} else {
			return err
		}
	}
}
