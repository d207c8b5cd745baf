package codec

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"canvasback/internal/failure"
	"canvasback/internal/vfs"
)

const fileHead = `# Keys of what canvasback has Temporal keep: NAME KEY.
# The first one encrypts, all of them decrypt. Whoever has this file can read it
# all; whoever loses it cannot. The backups do not depend on it.
`

// Create makes a key file, for its owner alone, with one new key, whose name it
// returns. TargetExists where there is something already: a key that is written
// over is lost.
func Create(path string, now time.Time) (id string, err error) {
	id, line := newLine(now)
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return "", failure.Errorf(failure.TargetExists, "key file %s: it is there already: --add puts another key into it", path)
	}
	if err != nil {
		return "", failure.Errorf(failure.TargetBad, "key file %s: %w", path, err)
	}
	_, err = f.WriteString(fileHead + line)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return "", failure.Errorf(failure.TargetBad, "key file %s: %w", path, errors.Join(err, os.Remove(path)))
	}
	if err := vfs.OS().SyncDir(filepath.Dir(path)); err != nil {
		return "", failure.Errorf(failure.TargetBad, "key file %s: %w", path, err)
	}
	return id, nil
}

// Add puts a new key into a key file, behind the others, and returns its name.
func Add(path string, now time.Time) (id string, err error) {
	text, err := read(path)
	if err != nil {
		return "", err
	}
	keys, err := parse(text)
	if err != nil {
		return "", failure.Errorf(failure.InvalidConfig, "key file %s: %w", path, err)
	}
	if len(keys) == MaxKeys {
		return "", failure.Errorf(failure.InvalidConfig, "key file %s: it holds %d keys, and may not hold more: remove what is used no more", path, MaxKeys)
	}
	id, line := newLine(now)
	return id, rewrite(path, strings.TrimRight(text, "\n")+"\n"+line)
}

// Use moves the key of the name to the front of a key file, so that it is the one
// that encrypts.
func Use(path, id string) error {
	text, err := read(path)
	if err != nil {
		return err
	}
	if _, err := parse(text); err != nil {
		return failure.Errorf(failure.InvalidConfig, "key file %s: %w", path, err)
	}
	var rest strings.Builder
	found := ""
	for line := range strings.Lines(strings.TrimRight(text, "\n") + "\n") {
		if words := strings.Fields(line); len(words) == 2 && words[0] == id {
			found = strings.TrimSpace(line) + "\n"
			continue
		}
		rest.WriteString(line)
	}
	if found == "" {
		return failure.Errorf(failure.Usage, "key file %s: there is no key %s in it", path, id)
	}
	return rewrite(path, insert(rest.String(), found))
}

// insert puts the line of a key before all others, and behind the comments at the
// top.
func insert(text, line string) string {
	var head, rest strings.Builder
	for l := range strings.Lines(text) {
		if rest.Len() == 0 && (strings.TrimSpace(l) == "" || l[0] == '#') {
			head.WriteString(l)
		} else {
			rest.WriteString(l)
		}
	}
	return head.String() + line + rest.String()
}

// rewrite replaces a key file as a whole: a key that is half written is lost.
func rewrite(path, text string) error {
	info, err := os.Stat(path)
	if err == nil {
		err = vfs.WriteAtomic(vfs.OS(), path, []byte(text), info.Mode().Perm())
	}
	if err != nil {
		return failure.Errorf(failure.TargetBad, "key file %s: %w", path, err)
	}
	return nil
}
