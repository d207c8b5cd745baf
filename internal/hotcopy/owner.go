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

// whyStopped says why the owner makes no progress; empty while it runs, and for
// one that cannot be seen: a pid of 0 is a process outside this PID namespace.
func whyStopped(pid int) string {
	if pid <= 0 {
		return ""
	}
	return stopped(filepath.Join("/proc", strconv.Itoa(pid)))
}

// stopped says why the process, or one of its threads, makes no progress, by its
// state and by the freezer of its control group (proc(5), cgroups(7)).
func stopped(dir string) string {
	threads, err := filepath.Glob(filepath.Join(dir, "task", "*", "stat"))
	if err != nil {
		return ""
	}
	for _, thread := range threads {
		stat, err := os.ReadFile(thread)
		if err != nil {
			continue
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

// openNames are the paths by which a process has the database open, or beside
// which it has a WAL of it open; nil where that cannot be seen. A path counts if
// it names the database here as well; the process may see another tree of files,
// which lies below its root.
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
		base := strings.TrimSuffix(strings.TrimSuffix(path, checkpointSuffix), walSuffix)
		if base == path && !hasInode(filepath.Join(dir, "fdinfo", fd.Name()), ino) {
			continue // of no concern, and perhaps on a disk that does not answer
		}
		for _, name := range []string{base, filepath.Join(dir, "root", base)} {
			fi, err := os.Stat(name)
			if err != nil {
				continue
			}
			if st, ok := fi.Sys().(*syscall.Stat_t); ok && uint64(st.Dev) == dev && st.Ino == ino {
				if !slices.Contains(names, name) {
					names = append(names, name)
				}
				break
			}
		}
	}
	return names
}

// hasInode reads the inode of a descriptor (proc_pid_fdinfo(5)); true where the
// kernel does not tell.
func hasInode(fdinfo string, ino uint64) bool {
	text, err := os.ReadFile(fdinfo)
	if err != nil {
		return true
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "ino:"); ok {
			return strings.TrimSpace(rest) == strconv.FormatUint(ino, 10)
		}
	}
	return true
}
