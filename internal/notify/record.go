package notify

import (
	"canvasback/internal/repo"
)

// edit changes the record of a database; change reports whether it did. It may
// be called twice, the second time on the record as it was before the first.
// Where the repository does not take the record it is kept in memory, and goes
// before what is stored until it could be.
func (n *Notifier) edit(database string, change func(*state) bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	var stored []byte
	err := n.stored(func(r *repo.Repo) error {
		return r.EditTold(database, func(data []byte) ([]byte, error) {
			stored = data
			s := n.latest(database, data)
			changed := change(s)
			if !changed && n.kept[database] == nil {
				return nil, nil
			}
			s.Revision++
			return s.encode()
		})
	})
	if err == nil {
		delete(n.kept, database)
		return
	}
	s := n.latest(database, stored)
	if change(s) {
		s.Revision++
	}
	n.kept[database] = s
}

// view is the record as it is now. Changes to it are lost.
func (n *Notifier) view(database string) *state {
	n.mu.Lock()
	defer n.mu.Unlock()
	var data []byte
	err := n.stored(func(r *repo.Repo) (err error) {
		data, err = r.Told(database)
		return err
	})
	if err != nil {
		data = nil
	}
	return n.latest(database, data)
}

// latest is the newer of what is stored and what could not be.
func (n *Notifier) latest(database string, data []byte) *state {
	s := decode(data)
	if kept := n.kept[database]; kept != nil && kept.Revision >= s.Revision {
		return kept.clone()
	}
	return s
}

func (n *Notifier) stored(do func(*repo.Repo) error) error {
	r, err := repo.Open(n.fs, n.config.Repository)
	if err != nil {
		return err
	}
	return do(r)
}

// newest is the newest verified backup, as far as the repository can be read.
func (n *Notifier) newest(database string) *Newest {
	var newest *Newest
	n.stored(func(r *repo.Repo) error {
		list, err := r.List(database)
		for _, m := range list {
			if m.State == repo.StateVerified {
				newest = &Newest{ID: m.ID, Finished: m.Finished}
			}
		}
		return err
	})
	if newest != nil {
		newest.AgeSeconds = int64(n.clock().Sub(newest.Finished).Seconds())
	}
	return newest
}
