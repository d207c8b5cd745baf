package backup

import (
	"context"
	"hash/fnv"

	"canvasback/internal/config"
	"canvasback/internal/failure"
	"canvasback/internal/job"
	"canvasback/internal/repo"
)

// Choose says which backup a restore or a drill takes. The same run gets the
// same random one, as long as the backups are the same.
func (r *Runner) Choose(_ context.Context, in job.ChooseInput) (job.ChooseResult, error) {
	d, err := r.database(in.Database)
	if err != nil {
		return job.ChooseResult{}, err
	}
	if in.Drill && in.Backup == "" {
		in.Backup = d.Drill.Backup
	}
	m, err := r.chosen(d.Name, in)
	if failure.Of(err) == failure.UnknownDatabase { // it is known, and was never backed up
		err = failure.Errorf(failure.UnknownBackup, "%w", err)
	}
	if err != nil {
		return job.ChooseResult{}, err
	}
	if in.Drill && m.State != repo.StateVerified {
		return job.ChooseResult{}, failure.Errorf(failure.Usage, "backup %s of %s is %s: a drill takes a verified one", m.ID, d.Name, m.State)
	}
	return job.ChooseResult{ID: m.ID, State: string(m.State), Started: m.Started, Finished: m.Finished, Bytes: Bytes(m)}, nil
}

func (r *Runner) chosen(database string, in job.ChooseInput) (*repo.Manifest, error) {
	switch {
	case in.At != nil && in.Backup != "":
		return nil, failure.Errorf(failure.Usage, "a backup of %s by ID and as of a time: one of the two is wanted", database)
	case in.At != nil:
		return r.Repo.NewestBefore(database, *in.At)
	case in.Backup == config.DrillRandom:
		return r.random(database, in.Run)
	}
	return r.Repo.Get(database, in.Backup)
}

// random picks a verified backup by the run's name.
func (r *Runner) random(database, run string) (*repo.Manifest, error) {
	all, err := r.Repo.List(database)
	var verified []repo.Manifest
	for _, m := range all {
		if m.State == repo.StateVerified {
			verified = append(verified, m)
		}
	}
	if len(verified) == 0 {
		if err == nil {
			err = failure.Errorf(failure.UnknownBackup, "repository %s has no verified backup of %s", r.Repo.Dir(), database)
		}
		return nil, err
	}
	h := fnv.New64a()
	h.Write([]byte(run))
	return &verified[h.Sum64()%uint64(len(verified))], nil
}
