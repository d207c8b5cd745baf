package crashtest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"canvasback/internal/check"
	"canvasback/internal/hotcopy"
	"canvasback/internal/job"
	"canvasback/internal/repo"
)

// operation is a row of the matrix. prepare runs on a healthy disk; do is what
// faults meet, and what is done again after one; done says what must be there
// once do has succeeded.
type operation struct {
	name     string
	prunes   bool // it may remove what the policy leaves no room for
	prepare  func(w world) error
	do       func(w world) error
	done     func(w world) error
	restores string // run whose backup it restores
	newRun   bool   // when done again it is another run
}

// opRun is the run of the operations.
const opRun = "op"

func operations() []operation {
	var staged repo.Manifest
	return []operation{
		{
			name:    "copy",
			prepare: nothing,
			do:      func(w world) error { _, err := w.copy(); return err },
			done:    func(w world) error { return w.wantState(opRun+"-1", repo.StateCopied) },
		},
		{
			name:    "commit",
			prepare: func(w world) error { return w.stage(&staged) },
			do:      func(w world) error { return w.commit(staged) },
			done:    func(w world) error { return w.wantState(opRun+"-1", repo.StateCopied) },
		},
		{
			name:    "verify",
			prepare: func(w world) error { _, err := w.copy(); return err },
			do:      world.verify,
			done:    func(w world) error { return w.wantState(opRun+"-1", repo.StateVerified) },
		},
		{
			name:   "prune",
			prunes: true,
			prepare: func(w world) error {
				if _, err := w.copy(); err != nil {
					return err
				}
				return w.verify()
			},
			do:   world.prune,
			done: func(w world) error { return w.wantGone(runOf(1) + "-1") },
		},
		{
			name:    "sweep",
			prepare: world.litter,
			do:      world.sweep,
			done:    world.wantClean,
		},
		{
			name:    "trash",
			prunes:  true,
			prepare: nothing,
			do: func(w world) error {
				return w.onOldest(func(r *repo.Repo, id string) error { return r.Trash("shop", id, "test", w.now(), longGrace) })
			},
			done: world.wantTrashed,
		},
		{
			name: "untrash",
			prepare: func(w world) error {
				return w.onOldest(func(r *repo.Repo, id string) error { return r.Trash("shop", id, "test", w.now(), longGrace) })
			},
			do:   world.untrash,
			done: func(w world) error { return w.wantState(runOf(1)+"-1", repo.StateVerified) },
		},
		{
			name: "pin",
			prepare: func(w world) error {
				return w.onOldest(func(r *repo.Repo, id string) error {
					return r.AddDrill("shop", id, repo.Drill{Run: "before", Passed: true})
				})
			},
			do:   world.note,
			done: world.wantNotes,
		},
		{
			name:    "check",
			prepare: nothing,
			do:      world.check,
			done:    world.wantChecked,
		},
		{
			name:     "restore",
			prepare:  nothing,
			restores: runOf(versions-1) + "-1",
			do:       func(w world) error { return w.restore(repo.Latest, true, nil) },
			done:     world.wantRestored,
		},
		{
			name:    "backup",
			prunes:  true,
			newRun:  true,
			prepare: nothing,
			do: func(w world) error {
				r, err := w.runner()
				if err != nil {
					return err
				}
				_, err = r.Backup(context.Background(), "shop", nil)
				return err
			},
			done: func(w world) error { return w.wantGone(runOf(1) + "-1") },
		},
	}
}

// onOldest does something to the backup of the oldest version; nothing if it
// is not in the list.
func (w world) onOldest(do func(r *repo.Repo, id string) error) error {
	r, err := repo.Open(w.fs, w.repository())
	if err != nil {
		return err
	}
	m, err := r.FindRun("shop", runOf(1)+"-1")
	if err != nil || m == nil {
		return err
	}
	return do(r, m.ID)
}

func (w world) check() error {
	r, err := repo.Open(w.fs, w.repository())
	if err != nil {
		return err
	}
	_, err = check.Run(context.Background(), check.Request{
		FS: w.fs, Repo: r, Databases: []string{"shop"}, Key: func(string) (string, error) { return "", nil }, Now: w.now,
	})
	return err
}

// wantChecked wants every backup to have been read and found good.
func (w world) wantChecked() error {
	r, err := repo.Open(w.fs, w.repository())
	if err != nil {
		return err
	}
	list, err := r.List("shop")
	for _, m := range list {
		notes, noteErr := r.Notes("shop", m.ID)
		err = errors.Join(err, noteErr)
		if notes.Check == nil || !notes.Check.Passed {
			err = errors.Join(err, fmt.Errorf("backup %s was not checked", m.ID))
		}
	}
	return err
}

func (w world) untrash() error {
	r, err := repo.Open(w.fs, w.repository())
	if err != nil {
		return err
	}
	trashed, err := r.Trashed("shop")
	for _, b := range trashed {
		err = errors.Join(err, r.Untrash("shop", b.Manifest.ID))
	}
	return err
}

// wantTrashed: the oldest backup is in the trash, and not in the list.
func (w world) wantTrashed() error {
	trashed, err := w.trashed()
	if err == nil && len(trashed) != 1 {
		err = fmt.Errorf("%d backups in the trash", len(trashed))
	}
	return errors.Join(err, w.wantGone(runOf(1)+"-1"))
}

// note adds one of each note to the oldest backup.
func (w world) note() error {
	return w.onOldest(func(r *repo.Repo, id string) error {
		if err := r.SetPin("shop", id, &repo.Pin{Owner: "ann", Reason: "test", At: w.now()}); err != nil {
			return err
		}
		if err := r.AddDrill("shop", id, repo.Drill{Run: "after", Passed: true}); err != nil {
			return err
		}
		return r.SetCheck("shop", id, repo.Check{At: w.now(), Passed: true})
	})
}

func (w world) wantNotes() error {
	return w.onOldest(func(r *repo.Repo, id string) error {
		n, err := r.Notes("shop", id)
		if err == nil && (n.Pin == nil || n.Check == nil || len(n.Drills) < 2 || n.Drills[0].Run != "before" || n.Drills[len(n.Drills)-1].Run != "after") {
			err = fmt.Errorf("the notes of %s: %+v", id, n)
		}
		return err
	})
}

func nothing(world) error { return nil }

func (w world) copy() (string, error) {
	r, err := w.runner()
	if err != nil {
		return "", err
	}
	res, err := r.Copy(context.Background(), job.CopyInput{Database: "shop", Run: opRun, Round: 1}, nil)
	return res.ID, err
}

// opBackup finds the backup of the operations' run.
func (w world) opBackup() (*repo.Manifest, error) {
	r, err := repo.Open(w.fs, w.repository())
	if err != nil {
		return nil, err
	}
	m, err := r.FindRun("shop", opRun+"-1")
	if err == nil && m == nil {
		err = fmt.Errorf("run %s has no backup", opRun)
	}
	return m, err
}

func (w world) verify() error {
	m, err := w.opBackup()
	if err != nil {
		return err
	}
	r, err := w.runner()
	if err != nil {
		return err
	}
	_, err = r.Verify(context.Background(), job.VerifyInput{Database: "shop", ID: m.ID, Run: opRun}, nil)
	return err
}

func (w world) prune() error {
	r, err := w.runner()
	if err != nil {
		return err
	}
	_, err = r.Prune(context.Background(), job.PruneInput{Database: "shop", Run: opRun})
	return err
}

// stage leaves an accepted copy in the staging area, not committed, and fills
// in its manifest.
func (w world) stage(m *repo.Manifest) error {
	r, err := repo.Open(w.fs, w.repository())
	if err != nil {
		return err
	}
	s, err := r.Stage("shop", opRun+"-1")
	if err != nil {
		return err
	}
	res, err := hotcopy.Copy(context.Background(), hotcopy.Options{FS: w.fs, Path: w.source(), Dir: s.Dir(), Name: "shop", Settle: 20 * time.Millisecond})
	if err != nil {
		return err
	}
	started := w.now().UTC()
	*m = repo.Manifest{
		Schema: repo.Schema, ID: repo.NewID(started, res.Iteration, opRun+"-1"), Database: "shop", State: repo.StateCopied, Run: opRun + "-1",
		Started: started, Finished: started, Tool: "test",
		Source:     repo.Source{Path: w.source(), Bytes: res.SourceBytes, Iteration: res.Iteration, StorageVersion: res.Storage, BlockBytes: res.BlockBytes},
		Acceptance: repo.Acceptance{Rule: res.Rule, Attempts: res.Attempts, Commits: res.Commits, Evidence: res.Evidence},
	}
	for _, f := range res.Files {
		m.Files = append(m.Files, repo.File{Name: f.Name, Bytes: f.Bytes, SHA256: f.SHA256})
	}
	return s.Close()
}

// commit commits what stage has left, or what an earlier commit has made.
func (w world) commit(m repo.Manifest) error {
	r, err := repo.Open(w.fs, w.repository())
	if err != nil {
		return err
	}
	s, err := r.Stage("shop", opRun+"-1")
	if err != nil {
		return err
	}
	err = s.Commit(&m)
	if closeErr := s.Close(); err == nil {
		err = closeErr
	}
	return err
}

// litter leaves one of everything that a sweep removes.
func (w world) litter() error {
	if err := w.stage(new(repo.Manifest)); err != nil {
		return err
	}
	dir := filepath.Join(w.repository(), "shop")
	r, err := repo.Open(w.fs, w.repository())
	if err != nil {
		return err
	}
	m, err := r.FindRun("shop", runOf(1)+"-1")
	if err != nil {
		return err
	}
	if err := r.Trash("shop", m.ID, "test", w.now(), monthLater/2); err != nil {
		return err
	}
	half := filepath.Join(dir, repo.NewID(w.now(), 1, "half"))
	gone := filepath.Join(dir, ".staging", ".gone-x")
	for _, name := range []string{half, gone} {
		if err := w.fs.Mkdir(name, 0o700); err != nil {
			return err
		}
	}
	for _, name := range []string{filepath.Join(half, "shop.duckdb"), filepath.Join(gone, "shop.duckdb"), filepath.Join(dir, "..run.tmp-0123456789abcdef")} {
		f, err := w.fs.OpenFile(name, os.O_WRONLY|os.O_CREATE, 0o600)
		if err != nil {
			return err
		}
		if _, err := f.Write([]byte("half")); err != nil {
			return err
		}
		if err := f.Close(); err != nil {
			return err
		}
	}
	return nil
}

func (w world) wantState(run string, state repo.State) error {
	list, err := w.list()
	for _, m := range list {
		if m.Run == run && m.State == state {
			return err
		}
	}
	return fmt.Errorf("no backup of run %s in state %s: %w", run, state, err)
}

func (w world) wantGone(run string) error {
	list, err := w.list()
	for _, m := range list {
		if m.Run == run {
			return fmt.Errorf("the backup of run %s is still there", run)
		}
	}
	return err
}

// wantClean: nothing is left but what is listed.
func (w world) wantClean() error {
	left, err := w.remains()
	if err == nil && len(left) > 0 {
		err = fmt.Errorf("left over: %v", left)
	}
	return err
}

// wantNoStage: a restore has left nothing hidden beside its target.
func (w world) wantNoStage() error {
	entries, err := w.fs.ReadDir(filepath.Dir(w.target()))
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") {
			err = errors.Join(err, fmt.Errorf("the restore left %s", e.Name()))
		}
	}
	return err
}

func (w world) wantRestored() error {
	list, err := w.list()
	if err != nil {
		return err
	}
	for _, m := range list {
		if m.Run != runOf(versions-1)+"-1" {
			continue
		}
		want, err := w.backupContent(&m)
		if err != nil {
			return err
		}
		got, err := w.get(w.target())
		if err == nil && got != want {
			err = fmt.Errorf("the target is not the restored backup")
		}
		return err
	}
	return fmt.Errorf("the backup to restore is gone")
}
