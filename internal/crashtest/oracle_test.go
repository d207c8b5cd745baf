package crashtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"canvasback/internal/repo"
	"canvasback/internal/verify"
	"canvasback/internal/vfs"
)

// oracle knows what a world must hold whatever happened to it.
type oracle struct {
	keep     map[string]bool    // IDs that were listed as verified
	trashed  map[string]bool    // IDs in the trash, to stay there or in the list
	restored string             // ID that the operation restores; empty: none
	content  map[string]content // of each backup that has been read with the engine, by ID
	live     content
	plain    bool // the live database is not one of the versions
	book     *contentBook
}

// newOracle looks at a world before the operation.
func newOracle(w world, book *contentBook) (*oracle, error) {
	o := &oracle{keep: map[string]bool{}, trashed: map[string]bool{}, content: map[string]content{}, book: book}
	var err error
	if o.live, err = w.get(w.source()); err != nil {
		return nil, err
	}
	trashed, err := w.trashed()
	for _, b := range trashed {
		o.trashed[b.Manifest.ID] = b.Until.After(w.later(monthLater).now())
	}
	list, listErr := w.list()
	err = errors.Join(err, listErr)
	for _, m := range list {
		o.keep[m.ID] = m.State == repo.StateVerified
		if c, err := w.backupContent(&m); err == nil {
			o.content[m.ID] = c
		}
	}
	return o, err
}

func (w world) backupDir(m *repo.Manifest) string {
	return filepath.Join(w.repository(), m.Database, m.ID)
}

func (w world) backupContent(m *repo.Manifest) (content, error) {
	return w.get(filepath.Join(w.backupDir(m), "shop.duckdb"))
}

// check is the promise: every listed backup verifies, and holds the commits
// that it was taken with, and so does what can be brought back; nothing good is
// gone but what the policy leaves no room for, where something was pruned, or
// can be brought back; the live database is as it was and the restored one is
// whole.
func (o *oracle) check(w world, pruned bool) error {
	list, err := w.list()
	if err != nil {
		return fmt.Errorf("list: %w", err)
	}
	verified := map[string]bool{}
	for _, m := range list {
		if err := o.checkBackup(w, w.backupDir(&m), &m); err != nil {
			return fmt.Errorf("backup %s of run %s, %s: %w", m.ID, m.Run, m.State, err)
		}
		verified[m.ID] = m.State == repo.StateVerified
	}
	inTrash, err := o.checkTrash(w)
	if err != nil {
		return err
	}
	for id, must := range o.trashed {
		if _, listed := verified[id]; must && !listed && !inTrash[id] && (!pruned || newer(verified, id) < keepLast) {
			return fmt.Errorf("backup %s was in the trash, and is neither there nor in the list", id)
		}
	}
	for id, keep := range o.keep {
		_, there := verified[id]
		if keep && !verified[id] && !inTrash[id] && (there || !pruned || newer(verified, id) < keepLast) {
			return fmt.Errorf("backup %s was verified and is no longer, or gone: %v", id, verified)
		}
	}
	live, err := w.get(w.source())
	if err == nil && live != o.live {
		err = errors.New("the live database was written to")
	}
	return errors.Join(err, o.checkTarget(w))
}

// checkTrash holds what can be brought back to the same as what is listed.
func (o *oracle) checkTrash(w world) (map[string]bool, error) {
	there := map[string]bool{}
	trashed, err := w.trashed()
	for _, b := range trashed {
		there[b.Manifest.ID] = true
		if badErr := o.checkBackup(w, filepath.Join(w.repository(), "shop", ".trash", b.Manifest.ID), &b.Manifest); badErr != nil {
			err = errors.Join(err, fmt.Errorf("%s in the trash: %w", b.Manifest.ID, badErr))
		}
	}
	return there, err
}

// newer counts the verified backups that began after id, or may have.
func newer(verified map[string]bool, id string) int {
	n := 0
	for other, is := range verified {
		if is && other != id && !isOlder(other, id) {
			n++
		}
	}
	return n
}

// isOlder tells whether backup a was begun before b. An ID tells the second;
// within it the database's iteration does.
func isOlder(a, b string) bool {
	startedA, iterationA, errA := repo.ParseID(a)
	startedB, iterationB, errB := repo.ParseID(b)
	if errA != nil || errB != nil {
		panic("not the IDs of backups: " + a + ", " + b)
	}
	return startedA.Before(startedB) || startedA.Equal(startedB) && iterationA < iterationB
}

// plainRows is what a plain live database has: most of it in a checkpoint, the
// rest in its WAL.
const plainRows = 150000

func (o *oracle) checkBackup(w world, dir string, m *repo.Manifest) error {
	if m.State != repo.StateVerified && m.State != repo.StateCopied {
		return fmt.Errorf("no fault of a disk is a verdict: %s", m.Failure)
	}
	_, err := verify.Run(context.Background(), verify.Request{FS: w.fs, Dir: dir, Manifest: m, Level: verify.LevelBytes})
	if err != nil {
		return err
	}
	var sums bytes.Buffer
	for _, f := range m.Files {
		fmt.Fprintf(&sums, "%s  %s\n", f.SHA256, f.Name)
	}
	if got, err := w.read(filepath.Join(dir, "SHA256SUMS")); err != nil || got != sums.String() {
		return fmt.Errorf("SHA256SUMS is not that of the manifest: %q: %w", got, err)
	}
	c, err := w.get(filepath.Join(dir, "shop.duckdb"))
	if err != nil {
		return err
	}
	want := rowsOf(versionOf(m.Run))
	if o.plain {
		want = plainRows
	}
	rows, err := o.book.rows(c)
	if err == nil && rows != want {
		err = fmt.Errorf("%d rows, it was taken with %d", rows, want)
	}
	return err
}

// checkTarget: the old database is complete, at the target or aside; the
// target is the old one, a restored one, or absent; what else is aside is a
// restored one, or a WAL, whole or not, whose database never got its name.
func (o *oracle) checkTarget(w world) error {
	at, err := w.get(w.target())
	if err != nil {
		return err
	}
	fresh := o.content[o.restored]
	switch {
	case at == oldTarget, at == fresh, at.db == "-" && (at.wal == "-" || at.wal == oldTarget.wal || at.wal == fresh.wal):
	default:
		return fmt.Errorf("the target is neither the old nor the new database: %.40q, WAL %.40q", at.db, at.wal)
	}
	old := at == oldTarget
	aside, err := w.aside()
	if err != nil {
		return err
	}
	for _, name := range aside {
		c, err := w.get(name)
		switch {
		case err != nil:
			return err
		case c == oldTarget:
			old = true
		case c == fresh, c.db == "-":
		default:
			return fmt.Errorf("%s is no database that was there: %.40q, WAL %.40q", name, c.db, c.wal)
		}
	}
	if !old {
		return fmt.Errorf("the old database is lost: %.40q at the target, and aside %v", at.db, aside)
	}
	return nil
}

// aside lists the database names that restores have moved old ones to.
func (w world) aside() ([]string, error) {
	dir := filepath.Dir(w.target())
	entries, err := w.fs.ReadDir(dir)
	names := map[string]bool{}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), filepath.Base(w.target())+".before-") {
			names[filepath.Join(dir, strings.TrimSuffix(e.Name(), ".wal"))] = true
		}
	}
	return slices.Sorted(maps.Keys(names)), err
}

// remains lists what is in the repository and belongs to no listed backup, nor
// to a lease.
func (w world) remains() ([]string, error) {
	list, err := w.list()
	if err != nil {
		return nil, err
	}
	known := map[string]bool{"shop": true, "shop/.lock": true, "shop/.run": true, "shop/.staging": true, "shop/.edit": true, "shop/.told": true, "shop/.trash": true}
	know := func(dir string, m repo.Manifest, notes ...string) {
		for _, name := range append(notes, "", "manifest.json", "SHA256SUMS", "pin.json", "drills.json", "check.json") {
			known[filepath.Join(dir, name)] = true
		}
		for _, f := range m.Files {
			known[filepath.Join(dir, f.Name)] = true
		}
	}
	for _, m := range list {
		know("shop/"+m.ID, m)
	}
	trashed, err := w.trashed()
	if err != nil {
		return nil, err
	}
	for _, b := range trashed {
		know("shop/.trash/"+b.Manifest.ID, b.Manifest, "removed.json")
	}
	var left []string
	err = w.walk(w.repository(), func(name string) {
		rel, err := filepath.Rel(w.repository(), name)
		// What a trash that did not come to its rename has left goes along.
		if inTrash := vfs.IsTemp(filepath.Base(name)) && known[filepath.Dir(rel)] && strings.HasPrefix(rel, "shop/.trash/"); err != nil || !known[rel] && !inTrash {
			left = append(left, name)
		}
	})
	return left, err
}

func (w world) walk(dir string, visit func(name string)) error {
	entries, err := w.fs.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, e := range entries {
		name := filepath.Join(dir, e.Name())
		visit(name)
		if e.IsDir() {
			err = errors.Join(err, w.walk(name, visit))
		}
	}
	return err
}
