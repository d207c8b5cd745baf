package vfstest

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"canvasback/internal/vfs"
)

func (m *Mem) Open(name string) (vfs.File, error) { return m.OpenFile(name, os.O_RDONLY, 0) }

func (m *Mem) OpenFile(name string, flag int, perm fs.FileMode) (vfs.File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.find(name)
	switch {
	case err == nil && flag&os.O_CREATE != 0 && flag&os.O_EXCL != 0:
		err = syscall.EEXIST
	case errors.Is(err, syscall.ENOENT) && flag&os.O_CREATE != 0:
		var dir *node
		var base string
		if dir, base, err = m.findParent(name); err == nil {
			n = m.newNode(perm.Perm())
			m.apply(&change{linkDir: dir, linkName: base, target: n})
		}
	}
	writes := flag&(os.O_WRONLY|os.O_RDWR) != 0
	if err == nil && n.names != nil && writes {
		err = syscall.EISDIR
	}
	if err != nil {
		return nil, pathError("open", name, err)
	}
	f := &memFile{m: m, n: n, name: name, reads: flag&os.O_WRONLY == 0, writes: writes, appends: flag&os.O_APPEND != 0}
	if flag&os.O_TRUNC != 0 && writes {
		f.change(write{off: 0})
	}
	return f, nil
}

func (m *Mem) Stat(name string) (vfs.Info, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.find(name)
	if err != nil {
		return vfs.Info{}, pathError("stat", name, err)
	}
	return n.info(), nil
}

func (m *Mem) Lstat(name string) (vfs.Info, error) { return m.Stat(name) }

func (n *node) info() vfs.Info {
	return vfs.Info{Size: int64(len(n.data)), Mode: n.mode, ModTime: n.mtime, ChangeTime: n.ctime, Dev: 1, Ino: n.ino, Links: 1}
}

func (m *Mem) ReadDir(name string) ([]fs.DirEntry, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.find(name)
	if err == nil && n.names == nil {
		err = syscall.ENOTDIR
	}
	if err != nil {
		return nil, pathError("readdir", name, err)
	}
	entries := make([]fs.DirEntry, 0, len(n.names))
	for base, child := range n.names {
		entries = append(entries, fs.FileInfoToDirEntry(fileInfo{base, child.info()}))
	}
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return entries, nil
}

type fileInfo struct {
	name string
	info vfs.Info
}

func (i fileInfo) Name() string       { return i.name }
func (i fileInfo) Size() int64        { return i.info.Size }
func (i fileInfo) Mode() fs.FileMode  { return i.info.Mode }
func (i fileInfo) ModTime() time.Time { return i.info.ModTime }
func (i fileInfo) IsDir() bool        { return i.info.Mode.IsDir() }
func (i fileInfo) Sys() any           { return nil }

func (m *Mem) Mkdir(name string, perm fs.FileMode) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.mkdir(name, perm)
}

func (m *Mem) mkdir(name string, perm fs.FileMode) error {
	if _, err := m.find(name); err == nil {
		return pathError("mkdir", name, syscall.EEXIST)
	}
	dir, base, err := m.findParent(name)
	if err != nil {
		return pathError("mkdir", name, err)
	}
	m.apply(&change{linkDir: dir, linkName: base, target: m.newNode(fs.ModeDir | perm.Perm())})
	return nil
}

func (m *Mem) MkdirAll(name string, perm fs.FileMode) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	path := ""
	for _, part := range split(name) {
		path += "/" + part
		n, err := m.find(path)
		if err == nil && n.names == nil {
			return pathError("mkdir", path, syscall.ENOTDIR)
		}
		if err != nil {
			if err := m.mkdir(path, perm); err != nil {
				return err
			}
		}
	}
	return nil
}

func (m *Mem) Rename(oldName, newName string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.rename(oldName, newName); err != nil {
		return &os.LinkError{Op: "rename", Old: oldName, New: newName, Err: err}
	}
	return nil
}

func (m *Mem) rename(oldName, newName string) error {
	oldDir, oldBase, err := m.findParent(oldName)
	if err != nil {
		return err
	}
	newDir, newBase, err := m.findParent(newName)
	if err != nil {
		return err
	}
	n, ok := oldDir.names[oldBase]
	if !ok {
		return syscall.ENOENT
	}
	oldPath, newPath := filepath.Clean("/"+oldName), filepath.Clean("/"+newName)
	if oldPath == newPath {
		return nil
	}
	if n.names != nil && strings.HasPrefix(newPath, oldPath+"/") {
		return syscall.EINVAL
	}
	if old, ok := newDir.names[newBase]; ok {
		switch {
		case old.names != nil:
			return syscall.EEXIST // as os.Rename has it, even for an empty one
		case n.names != nil:
			return syscall.ENOTDIR
		}
	}
	n.ctime = m.now()
	m.apply(&change{unlinkDir: oldDir, unlinkName: oldBase, linkDir: newDir, linkName: newBase, target: n})
	return nil
}

func (m *Mem) Remove(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	dir, base, err := m.findParent(name)
	if err == nil {
		n, ok := dir.names[base]
		switch {
		case !ok:
			err = syscall.ENOENT
		case len(n.names) > 0:
			err = syscall.ENOTEMPTY
		}
	}
	if err != nil {
		return pathError("remove", name, err)
	}
	m.apply(&change{unlinkDir: dir, unlinkName: base})
	return nil
}

func (m *Mem) SyncDir(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.find(name)
	if err == nil && n.names == nil {
		err = syscall.ENOTDIR
	}
	if err != nil {
		return pathError("syncdir", name, err)
	}
	m.syncDir(n)
	return nil
}

func (m *Mem) FreeBytes(name string) (int64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, err := m.find(name); err != nil {
		return 0, pathError("statfs", name, err)
	}
	return m.free, nil
}

func (m *Mem) Kind(name string) (vfs.FSKind, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, err := m.find(name); err != nil {
		return vfs.FSKind{}, pathError("statfs", name, err)
	}
	return m.kind, nil
}

// Confine has nothing to do where there are no links, pipes and devices.
func (m *Mem) Confine(dir string) (vfs.FS, error) {
	if _, err := m.Stat(dir); err != nil {
		return nil, err
	}
	return m, nil
}
