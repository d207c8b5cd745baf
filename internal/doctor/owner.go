package doctor

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"canvasback/internal/hotcopy"
)

// owner says who holds the database's lock.
func (s *subject) owner() Finding {
	const check = "database.owner"
	if s.seen == nil {
		return finding(check, Skipped, "", "the database cannot be read")
	}
	openers := s.openers()
	switch o := s.seen.Owner; {
	case o == nil && len(openers) > 0:
		return finding(check, Warn, "restart the service, and keep whatever runs inside its process from opening and closing the file (a backup, a checksum, read_blob)",
			"%s has it open and no process holds DuckDB's lock: the process closed the file once, which drops the lock, and a second one could now write beside it", people(openers))
	case o == nil:
		return finding(check, OK, "", "nobody holds it")
	case o.PID == 0:
		return finding(check, Warn, "run the worker in the service's PID namespace (docker run --pid container:SERVICE, pid: service:SERVICE in compose), or on the host",
			"a process that cannot be seen from here holds it, in a container or on another machine: whether it is stopped, and by which name it opened the file, is not known")
	}
	pids := s.lockers()
	if !slices.Contains(pids, s.seen.Owner.PID) {
		pids = append(pids, s.seen.Owner.PID)
	}
	return finding(check, OK, "", "held by %s", people(pids))
}

// people names processes and their programs.
func people(pids []int) string {
	names := make([]string, len(pids))
	for i, pid := range pids {
		names[i] = fmt.Sprintf("process %d", pid)
		if exe := hotcopy.Executable(pid); exe != "" {
			names[i] += " (" + exe + ")"
		}
	}
	return strings.Join(names, ", ")
}

// lockers lists the processes with a POSIX lock on the database, readers too,
// as /proc/locks has them; none where it cannot be read.
func (s *subject) lockers() []int {
	info, err := s.FS.Stat(s.db.Path)
	if err != nil {
		return nil
	}
	f, err := os.Open("/proc/locks")
	if err != nil {
		return nil
	}
	defer f.Close()
	var pids []int
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if pid, ino, ok := parseLock(lines.Text()); ok && ino == info.Ino && hasOpen(pid, info.Dev, info.Ino) && !slices.Contains(pids, pid) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// parseLock takes a line of /proc/locks apart (proc_locks(5)). Devices are left
// out: some file systems have another number there than in stat(2).
func parseLock(line string) (pid int, ino uint64, ok bool) {
	f := strings.Fields(line)
	if len(f) < 8 || f[1] != "POSIX" { // also of those that only wait: "->"
		return 0, 0, false
	}
	id := strings.Split(f[5], ":")
	pid, err := strconv.Atoi(f[4])
	if err != nil || pid <= 0 || len(id) != 3 {
		return 0, 0, false
	}
	ino, err = strconv.ParseUint(id[2], 10, 64)
	return pid, ino, err == nil
}

// openers lists the other processes that are seen to have the database open for
// writing. Of other users' processes only root sees that.
func (s *subject) openers() []int {
	info, err := s.FS.Stat(s.db.Path)
	if err != nil {
		return nil
	}
	dirs, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	var pids []int
	for _, d := range dirs {
		pid, err := strconv.Atoi(d.Name())
		if err == nil && pid != os.Getpid() && hasOpenForWriting(pid, info.Dev, info.Ino) {
			pids = append(pids, pid)
		}
	}
	return pids
}

func hasOpen(pid int, dev, ino uint64) bool {
	return eachOpen(pid, dev, ino, func(string) bool { return true })
}

func hasOpenForWriting(pid int, dev, ino uint64) bool {
	return eachOpen(pid, dev, ino, func(fd string) bool {
		text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "fdinfo", fd))
		if err != nil {
			return false
		}
		for line := range strings.Lines(string(text)) {
			if rest, ok := strings.CutPrefix(line, "flags:"); ok {
				flags, err := strconv.ParseInt(strings.TrimSpace(rest), 8, 64)
				return err == nil && flags&syscall.O_ACCMODE != syscall.O_RDONLY
			}
		}
		return false
	})
}

// eachOpen tells whether is holds of any descriptor of the file.
func eachOpen(pid int, dev, ino uint64, is func(fd string) bool) bool {
	dir := filepath.Join("/proc", strconv.Itoa(pid), "fd")
	fds, err := os.ReadDir(dir)
	if err != nil {
		return false
	}
	for _, fd := range fds {
		name := filepath.Join(dir, fd.Name())
		// Only paths: a pipe or socket is none of them.
		if target, err := os.Readlink(name); err != nil || !filepath.IsAbs(target) {
			continue
		}
		fi, err := os.Stat(name)
		if err != nil {
			continue
		}
		if st, ok := fi.Sys().(*syscall.Stat_t); ok && uint64(st.Dev) == dev && st.Ino == ino && is(fd.Name()) {
			return true
		}
	}
	return false
}
