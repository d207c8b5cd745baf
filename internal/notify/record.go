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
	var before []byte
	var after *state
	err := n.stored(func(r *repo.Repo) error {
		return r.EditTold(database, func(data []byte) ([]byte, error) {
			before = data
			after = n.latest(database, data)
			unstored := after.Revision > decode(data).Revision
			if !change(after) && !unstored {
				return nil, nil
			}
			after.Revision++
			return after.encode()
		})
	})
	if err != nil {
		after = n.latest(database, before)
		change(after)
		after.Revision++
	}
	n.known[database] = after
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
	s := n.latest(database, data)
	n.known[database] = s
	return s.clone()
}

// latest is the newer of what is stored and what this process knows, which is
// more where it could not be stored, or cannot be read.
func (n *Notifier) latest(database string, data []byte) *state {
	s := decode(data)
	if known := n.known[database]; known != nil && known.Revision >= s.Revision {
		return known.clone()
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
