package vfs

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

func (c *confinedFS) Open(name string) (File, error) { return c.OpenFile(name, os.O_RDONLY, 0) }

func (c *confinedFS) OpenFile(name string, flag int, perm fs.FileMode) (File, error) {
	p, rel, ok := c.find(name)
	if !ok {
		return c.osFS.OpenFile(name, flag, perm)
	}
	f, err := p.open("open", name, rel, flag, perm)
	if err != nil {
		return nil, err
	}
	return &osFile{File: f, name: name}, nil
}

func (p place) open(op, name, rel string, flag int, perm fs.FileMode) (f *os.File, err error) {
	err = p.do(op, name, rel, func(dir *os.Root, base string) error {
		f, err = openIn(dir, base, flag, perm)
		return err
	})
	return f, err
}

// openIn opens a file or directory of dir, and nothing else: it does not wait
// for the other end of a pipe that takes the file's place just then.
func openIn(dir *os.Root, base string, flag int, perm fs.FileMode) (*os.File, error) {
	failed := errUnsteady
	for range looks {
		named, err := dir.Lstat(base)
		if errors.Is(err, fs.ErrNotExist) && flag&os.O_CREATE != 0 {
			f, err := dir.OpenFile(base, flag|os.O_EXCL, perm)
			if errors.Is(err, fs.ErrExist) && flag&os.O_EXCL == 0 {
				continue // somebody else has just made it
			}
			if err != nil {
				return nil, err
			}
			if err := exactly(f, perm); err != nil {
				return nil, errors.Join(err, f.Close())
			}
			return f, nil
		}
		switch {
		case err != nil:
			return nil, err
		case flag&(os.O_CREATE|os.O_EXCL) == os.O_CREATE|os.O_EXCL:
			return nil, fs.ErrExist
		}
		if err := plain(named.Mode()); err != nil {
			return nil, err
		}
		f, err := dir.OpenFile(base, flag&^(os.O_CREATE|os.O_TRUNC)|syscall.O_NONBLOCK, 0)
		if err != nil {
			failed = err
			continue
		}
		opened, err := f.Stat()
		if err == nil && os.SameFile(named, opened) {
			if flag&os.O_TRUNC != 0 {
				err = f.Truncate(0)
			}
			if err == nil {
				return f, nil
			}
		}
		if closeErr := f.Close(); err != nil {
			return nil, errors.Join(err, closeErr)
		}
	}
	return nil, failed
}

// plain refuses what is neither a file nor a directory.
func plain(mode fs.FileMode) error {
	switch {
	case mode&fs.ModeSymlink != 0:
		return ErrLink
	case !mode.IsRegular() && !mode.IsDir():
		return ErrSpecial
	}
	return nil
}

// exactly gives a new file the mode that it was to have, whatever the umask has
// taken from it.
func exactly(f *os.File, perm fs.FileMode) error {
	info, err := f.Stat()
	if err == nil && info.Mode().Perm() != perm.Perm() {
		err = f.Chmod(perm.Perm())
	}
	return err
}

func (c *confinedFS) Stat(name string) (Info, error) {
	if _, _, ok := c.find(name); !ok {
		return c.osFS.Stat(name)
	}
	info, err := c.Lstat(name)
	if err == nil && info.Mode&fs.ModeSymlink != 0 {
		return Info{}, &fs.PathError{Op: "stat", Path: name, Err: ErrLink}
	}
	return info, err
}

func (c *confinedFS) Lstat(name string) (info Info, err error) {
	p, rel, ok := c.find(name)
	if !ok {
		return c.osFS.Lstat(name)
	}
	err = p.do("lstat", name, rel, func(dir *os.Root, base string) error {
		fi, err := dir.Lstat(base)
		if err == nil {
			info = infoOf(fi)
		}
		return err
	})
	return info, err
}

func (c *confinedFS) ReadDir(name string) ([]fs.DirEntry, error) {
	p, rel, ok := c.find(name)
	if !ok {
		return c.osFS.ReadDir(name)
	}
	d, err := p.open("open", name, rel, os.O_RDONLY, 0)
	if err != nil {
		return nil, err
	}
	entries, err := d.ReadDir(-1)
	if err = errors.Join(err, d.Close()); err != nil {
		err = &fs.PathError{Op: "readdir", Path: name, Err: cause(err)}
	}
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return entries, err
}

func (c *confinedFS) Mkdir(name string, perm fs.FileMode) error {
	p, rel, ok := c.find(name)
	if !ok {
		return c.osFS.Mkdir(name, perm)
	}
	return p.do("mkdir", name, rel, func(dir *os.Root, base string) error {
		if err := dir.Mkdir(base, perm); err != nil {
			return err
		}
		made, err := dir.Lstat(base)
		if err == nil && made.Mode().Perm() != perm.Perm() {
			err = dir.Chmod(base, perm.Perm())
		}
		return err
	})
}

func (c *confinedFS) MkdirAll(name string, perm fs.FileMode) error {
	p, rel, ok := c.find(name)
	if !ok {
		return c.osFS.MkdirAll(name, perm)
	}
	path := p.dir
	for part := range strings.SplitSeq(rel, "/") {
		path = filepath.Join(path, part)
		err := c.Mkdir(path, perm)
		if errors.Is(err, fs.ErrExist) {
			var info Info
			if info, err = c.Stat(path); err == nil && !info.Mode.IsDir() {
				err = &fs.PathError{Op: "mkdir", Path: path, Err: syscall.ENOTDIR}
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (c *confinedFS) Remove(name string) error {
	p, rel, ok := c.find(name)
	if !ok {
		return c.osFS.Remove(name)
	}
	return p.do("remove", name, rel, func(dir *os.Root, base string) error { return dir.Remove(base) })
}

// Rename moves within one place. Between two directories of it the one that
// holds both is opened, and the rest of the two paths is looked at first: a link
// that is put there after the look can lead to another directory of that one,
// and not out of it.
func (c *confinedFS) Rename(oldName, newName string) error {
	fail := func(err error) error {
		return &os.LinkError{Op: "rename", Old: oldName, New: newName, Err: cause(err)}
	}
	p, oldRel, ok := c.find(oldName)
	to, newRel, toOK := c.find(newName)
	switch {
	case !ok && !toOK:
		return c.osFS.Rename(oldName, newName)
	case p != to:
		return fail(syscall.EXDEV)
	}
	for _, rel := range []string{oldRel, newRel} {
		if err := p.at(rel, func(*os.Root, string) error { return nil }); err != nil {
			return err
		}
	}
	shared := sharedDir(oldRel, newRel)
	var failed error
	err := p.at(shared+"x", func(dir *os.Root, _ string) error {
		failed = rename(dir, oldRel[len(shared):], newRel[len(shared):])
		return nil
	})
	if failed != nil {
		err = fail(failed)
	}
	return err
}

// sharedDir is the part of both paths up to the last slash before they part.
func sharedDir(a, b string) string {
	n := 0
	for i := 0; i < min(len(a), len(b)) && a[i] == b[i]; i++ {
		if a[i] == '/' {
			n = i + 1
		}
	}
	return a[:n]
}

// rename refuses to take the place of a directory, even of an empty one, as
// os.Rename does.
func rename(dir *os.Root, oldRel, newRel string) error {
	if there, err := dir.Lstat(newRel); err == nil && there.IsDir() {
		moved, err := dir.Lstat(oldRel)
		if err != nil {
			return err
		}
		if oldRel == newRel || !os.SameFile(there, moved) {
			return fs.ErrExist
		}
	}
	return dir.Rename(oldRel, newRel)
}

func (c *confinedFS) SyncDir(name string) error {
	p, rel, ok := c.find(name)
	if !ok {
		return c.osFS.SyncDir(name)
	}
	d, err := p.open("open", name, rel, os.O_RDONLY|syscall.O_DIRECTORY, 0)
	if err != nil {
		return err
	}
	return syncClose(d)
}

func (c *confinedFS) FreeBytes(name string) (int64, error) {
	real, err := c.real(name)
	if err != nil {
		return 0, err
	}
	return c.osFS.FreeBytes(real)
}

func (c *confinedFS) Kind(name string) (FSKind, error) {
	real, err := c.real(name)
	if err != nil {
		return FSKind{}, err
	}
	return c.osFS.Kind(real)
}

// real is the path to ask about the file system that holds name, which neither
// reads nor writes it.
func (c *confinedFS) real(name string) (string, error) {
	p, rel, ok := c.find(name)
	if !ok {
		return name, nil
	}
	if _, err := c.Stat(name); err != nil {
		return "", err
	}
	return filepath.Join(p.real, rel), nil
}
