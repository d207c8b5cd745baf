package doctor

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"canvasback/internal/failure"
	"canvasback/internal/human"
	"canvasback/internal/repo"
	"canvasback/internal/vfs"
)

// repository checks the directory of the backups.
func (c *Checkup) repository() []Finding {
	const check = "repository.directory"
	dir := c.Config.Repository
	r, err := repo.Open(c.FS, dir)
	if err != nil {
		mend := failure.Of(err).Hint
		if failure.Of(err) == failure.RepoMissing {
			mend = fmt.Sprintf("install -d -m 0700 -o %s %s, or mount the disk that holds it", userName(), dir)
		}
		return []Finding{finding(check, Fail, mend, "%v", err)}
	}
	findings := []Finding{c.repositoryWritable(r), c.repositoryMode(r), c.repositoryKind()}
	if findings[0].Status == OK {
		findings = append(findings, operations(r.FS(), dir))
	}
	for _, d := range c.Config.Databases {
		f := backupTimes(r, d.Name, c.Now())
		f.Database = d.Name
		findings = append(findings, f)
	}
	return findings
}

func (c *Checkup) repositoryWritable(r *repo.Repo) Finding {
	const check = "repository.directory"
	err := r.CheckWritable()
	switch kind := failure.Of(err); {
	case err == nil:
		return finding(check, OK, "", "%s, writable", r.Dir())
	case kind == failure.RepoNotWritable:
		return finding(check, Fail, fmt.Sprintf("chown -R %s %s, or mount it read-write", userName(), r.Dir()), "%v", err)
	default:
		return finding(check, Fail, kind.Hint, "%v", err)
	}
}

// repositoryMode looks at who else reads the backups, which hold all that the
// databases do.
func (c *Checkup) repositoryMode(r *repo.Repo) Finding {
	const check = "repository.mode"
	exposed, err := r.Exposed()
	switch {
	case err != nil:
		return finding(check, Skipped, "", "%v", err)
	case exposed != "":
		return finding(check, Warn, "chmod 0700 "+r.Dir(), "%s", exposed)
	}
	return finding(check, OK, "", "only its owner may look into %s", r.Dir())
}

// configFile looks at who else can change the configuration.
func (c *Checkup) configFile() []Finding {
	const check = "config.file"
	var findings []Finding
	file := c.Config.File()
	for _, doubt := range c.Config.Doubts() {
		findings = append(findings, finding(check, Warn, fmt.Sprintf("chown root %s, and chmod go-w %s", file, filepath.Dir(file)), "%s", doubt))
	}
	if len(findings) == 0 && file != "" {
		findings = append(findings, finding(check, OK, "", "only root and this user can change %s", file))
	}
	return findings
}

func (c *Checkup) repositoryKind() Finding {
	const check = "repository.file-system"
	kind, err := c.FS.Kind(c.Config.Repository)
	switch {
	case err != nil:
		return finding(check, Skipped, "", "the kind of the file system cannot be seen: %v", err)
	case kind.Name == "tmpfs" || kind.Name == "ramfs":
		return finding(check, Fail, "repository: DIR (on a disk)", "%s lives in memory: the backups are gone with the next start of the machine", kind.Name)
	case kind.Network:
		return finding(check, Warn, "keep this worker the only one that writes there", "%s is a network file system: its locks may hold on this machine only", kind.Name)
	}
	return finding(check, OK, "", "%s", kind.Name)
}

// operations tries what the repository needs of a file system: that a file is
// synced, renamed, its directory synced, and that a lock shuts a second one out.
// What it makes is gone when it returns, and is swept like the worker's own
// probes if the machine stops in between.
func operations(fsys vfs.FS, dir string) (found Finding) {
	const check = "repository.operations"
	base := filepath.Join(dir, ".probe-"+rand.Text())
	fail := func(what string, err error) Finding {
		return finding(check, Fail, "put the repository on a local file system, such as ext4, XFS or Btrfs", "the file system of %s cannot %s: %v", dir, what, err)
	}
	defer func() {
		for _, name := range []string{base, base + "-renamed"} {
			if err := fsys.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
				found = finding(check, Fail, "rm "+name, "a probe file could not be removed: %v", err)
			}
		}
	}()
	f, err := fsys.OpenFile(base, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fail("make a file", err)
	}
	defer f.Close()
	if _, err := f.Write([]byte("canvasback")); err != nil {
		return fail("write a file", err)
	}
	if err := f.Sync(); err != nil {
		return fail("sync a file", err)
	}
	if err := fsys.Rename(base, base+"-renamed"); err != nil {
		return fail("rename a file", err)
	}
	if err := fsys.SyncDir(dir); err != nil {
		return fail("sync a directory", err)
	}
	if got, err := f.TryLock(); err != nil || !got {
		return fail("lock a file", err)
	}
	second, err := fsys.OpenFile(base+"-renamed", os.O_RDWR, 0)
	if err != nil {
		return fail("open a renamed file", err)
	}
	defer second.Close()
	if got, err := second.TryLock(); err != nil || got {
		return fail("keep a second lock out", err)
	}
	return finding(check, OK, "", "files can be synced, renamed and locked")
}

// space asks whether two more backups of the database's present size fit: the
// next one, and room to verify and to prune.
func (s *subject) space() Finding {
	const check = "repository.space"
	free, err := s.FS.FreeBytes(s.Config.Repository)
	if err != nil {
		return finding(check, Skipped, "", "the free space of the repository cannot be seen: %v", err)
	}
	if s.seen == nil {
		return finding(check, Skipped, "", "%s are free; the database's size is not known", human.Bytes(free))
	}
	need := s.seen.Bytes
	if s.seen.WAL != nil {
		need += s.seen.WAL.Bytes
	}
	mend := "free space there, or lower the numbers of retention (now keep_last: " + fmt.Sprint(s.db.Retention.KeepLast) + ")"
	switch {
	case free < need:
		return finding(check, Fail, mend, "%s are free, and one backup takes up to %s", human.Bytes(free), human.Bytes(need))
	case free < 2*need:
		return finding(check, Warn, mend, "%s are free, room for one backup of up to %s and not for two", human.Bytes(free), human.Bytes(need))
	}
	return finding(check, OK, "", "%s are free; a backup takes up to %s", human.Bytes(free), human.Bytes(need))
}

// apart tells whether one failing disk takes the database and its backups.
func (s *subject) apart() Finding {
	const check = "repository.apart"
	db, err := s.FS.Stat(s.db.Path)
	if err != nil {
		return finding(check, Skipped, "", "the database cannot be seen")
	}
	dir, err := s.FS.Stat(s.Config.Repository)
	if err != nil {
		return finding(check, Skipped, "", "the repository cannot be seen")
	}
	if db.Dev == dir.Dev {
		return finding(check, Warn, "repository: DIR (on another disk), or copy it elsewhere",
			"the database and its backups lie in one file system: a failing disk takes both, and clones share their blocks")
	}
	return finding(check, OK, "", "the database and its backups lie in two file systems")
}
