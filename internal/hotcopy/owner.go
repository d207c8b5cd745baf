package hotcopy

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// Executable is the path of a process's program, empty where it may not be
// read.
func Executable(pid int) string {
	if pid <= 0 {
		return ""
	}
	exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
	if err != nil {
		return ""
	}
	return exe
}

// process is what rule C has to know of the owner's process. Where a fact
// cannot be found out it is the worse one for Mapped and the usual one for
// Stopped, whose text is empty while the process runs.
type process struct {
	Stopped string // why it does not run: a signal, a debugger, the freezer
	Mapped  bool   // the database may be written through a memory map
}

// lookAtProcess reads the state of the owner from /proc. A pid of 0 is a process
// that this PID namespace does not see.
func lookAtProcess(pid int, ino uint64) process {
	if pid <= 0 {
		return process{Mapped: true}
	}
	dir := filepath.Join("/proc", strconv.Itoa(pid))
	return process{Stopped: stopped(dir), Mapped: mapped(dir, ino)}
}

// stopped says why the process makes no progress, by its state and by the
// freezer of its control group (proc(5), cgroups(7)).
func stopped(dir string) string {
	stat, err := os.ReadFile(filepath.Join(dir, "stat"))
	if err != nil {
		return ""
	}
	// The state follows the program's name, which may hold anything.
	if i := bytes.LastIndexByte(stat, ')'); i >= 0 && i+2 < len(stat) {
		switch stat[i+2] {
		case 'T':
			return "stopped by a signal"
		case 't':
			return "stopped by a debugger"
		}
	}
	group, err := os.ReadFile(filepath.Join(dir, "cgroup"))
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(group)) {
		path, ok := strings.CutPrefix(strings.TrimSpace(line), "0::")
		if !ok {
			continue
		}
		events, err := os.ReadFile(filepath.Join("/sys/fs/cgroup", path, "cgroup.events"))
		if err == nil && strings.Contains(string(events), "frozen 1") {
			return "frozen in its control group"
		}
	}
	return ""
}

// mapped says whether the process has the file with the inode mapped. The
// device is left out: overlay file systems show another one there.
func mapped(dir string, ino uint64) bool {
	maps, err := os.ReadFile(filepath.Join(dir, "maps"))
	if err != nil {
		return true
	}
	want := strconv.FormatUint(ino, 10)
	for line := range strings.Lines(string(maps)) {
		// address perms offset dev inode path
		if f := strings.Fields(line); len(f) >= 5 && f[4] == want {
			return true
		}
	}
	return false
}

// openNames are the paths by which a process has the database open, or beside
// which it has a WAL of it open; nil where that cannot be seen. A path counts if
// it names the database here as well: the process may see another tree of files.
func openNames(pid int, dev, ino uint64) []string {
	dir := filepath.Join("/proc", strconv.Itoa(pid))
	fds, err := os.ReadDir(filepath.Join(dir, "fd"))
	if err != nil {
		return nil
	}
	var names []string
	for _, fd := range fds {
		path, err := os.Readlink(filepath.Join(dir, "fd", fd.Name()))
		if err != nil || !filepath.IsAbs(path) {
			continue
		}
		// DuckDB up to 1.4 puts the WAL beside the link that it was told, not
		// beside the file.
		path = strings.TrimSuffix(strings.TrimSuffix(path, checkpointSuffix), walSuffix)
		if fi, err := os.Stat(path); err == nil {
			st, ok := fi.Sys().(*syscall.Stat_t)
			if ok && uint64(st.Dev) == dev && st.Ino == ino && !slices.Contains(names, path) {
				names = append(names, path)
			}
		}
	}
	return names
}
