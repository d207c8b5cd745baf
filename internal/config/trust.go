package config

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// byOthers are the bits of a mode that let group and others write.
const byOthers = 0o022

// readPlain reads a regular file of at most limit bytes, once trust has looked
// at what was opened. It does not wait for the other end of a pipe.
func readPlain(path string, limit int64, trust func(fs.FileInfo) error) ([]byte, fs.FileInfo, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, nil, reason(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, nil, reason(err)
	}
	if !info.Mode().IsRegular() {
		return nil, nil, fmt.Errorf("not a regular file")
	}
	if err := trust(info); err != nil {
		return nil, nil, err
	}
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, nil, reason(err)
	}
	if int64(len(data)) > limit {
		return nil, nil, tooLarge(limit)
	}
	return data, info, nil
}

// ownOnly refuses a configuration that others can change, as ssh does with its
// own: it names commands that run as this user.
func ownOnly(info fs.FileInfo) error {
	if perm := info.Mode().Perm(); perm&byOthers != 0 {
		return fmt.Errorf("others than its owner may change it (mode %04o), and it names commands to run: make it 0600 or 0644", perm)
	}
	return nil
}

// doubtsOf says who else can change the file at path, which is info. None of it
// is refused: in a container the owner is often the one of the host, and a
// directory may be shared on purpose.
func doubtsOf(path string, info fs.FileInfo) []string {
	var doubts []string
	if uid, foreign := foreignOwner(info); foreign {
		doubts = append(doubts, fmt.Sprintf("the configuration file %s belongs to user %d, who can change it, and it names commands to run", path, uid))
	}
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return doubts
	}
	dir := filepath.Dir(real)
	if at, err := os.Stat(dir); err == nil && at.Mode().Perm()&byOthers != 0 && at.Mode()&fs.ModeSticky == 0 {
		doubts = append(doubts, fmt.Sprintf("others than its owner may put another file in the place of %s (mode %04o of %s), and it names commands to run", real, at.Mode().Perm(), dir))
	}
	return doubts
}

// foreignOwner reports whether the file is neither root's nor this user's.
func foreignOwner(info fs.FileInfo) (uid uint32, foreign bool) {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, false
	}
	return st.Uid, st.Uid != 0 && int(st.Uid) != os.Geteuid()
}

// Doubts says who else than root and this user can change the configuration
// file; nil: nobody, or it has none. It was seen when the file was loaded.
func (c *Config) Doubts() []string { return c.doubts }
