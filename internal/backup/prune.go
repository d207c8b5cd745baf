package backup

import (
	"context"
	"errors"
	"fmt"
	"time"

	"canvasback/internal/config"
	"canvasback/internal/failure"
	"canvasback/internal/job"
	"canvasback/internal/repo"
	"canvasback/internal/retention"
)

// Pruning is a plan for the backups of one database, and what it is about.
type Pruning struct {
	Plan      retention.Plan
	Policy    retention.Policy
	Manifests map[string]repo.Manifest // by ID; those that can be read
	// Problems are manifests and notes that cannot be read. The backups of the
	// former are in no plan, and stay; so do those of the latter.
	Problems error

	repo     *repo.Repo
	database string
	now      time.Time
	pins     map[string]retention.Pin
}

// PlanPruning decides which backups of the database stay at the given time. It
// fails where none of them can be read. Whoever carries the plan out has the
// lease of the database.
func PlanPruning(r *repo.Repo, database string, policy retention.Policy, now time.Time) (*Pruning, error) {
	manifests, problems := r.List(database)
	if len(manifests) == 0 && problems != nil {
		return nil, problems
	}
	p := &Pruning{
		Policy: policy, Manifests: map[string]repo.Manifest{}, Problems: problems,
		repo: r, database: database, now: now, pins: map[string]retention.Pin{},
	}
	backups := make([]retention.Backup, 0, len(manifests))
	for _, m := range manifests {
		pin, there, err := p.pin(m.ID)
		p.Problems = errors.Join(p.Problems, err)
		if !there {
			continue
		}
		b := retention.Backup{ID: m.ID, Time: m.Started, State: string(m.State), Tags: m.Tags}
		if pin != nil {
			b.Pin = pin
			p.pins[m.ID] = *pin
		}
		backups = append(backups, b)
		p.Manifests[m.ID] = m
	}
	p.Plan = retention.NewPlan(now, backups, policy)
	return p, nil
}

// pin reads the pin of a backup; there is false where the backup is gone. Notes
// that cannot be read are a pin: what is not known to be free to go stays.
func (p *Pruning) pin(id string) (pin *retention.Pin, there bool, err error) {
	notes, err := p.repo.Notes(p.database, id)
	if failure.Of(err) == failure.UnknownBackup {
		return nil, false, nil
	}
	switch {
	case notes.Pin == nil && err != nil:
		return &retention.Pin{Reason: "its notes cannot be read: " + err.Error()}, true, err
	case notes.Pin == nil:
		return nil, true, nil
	}
	pin = &retention.Pin{Owner: notes.Pin.Owner, Reason: notes.Pin.Reason, At: notes.Pin.At}
	if notes.Pin.Until != nil {
		pin.Until = *notes.Pin.Until
	}
	return pin, true, err
}

// Check refuses a plan that removes suspiciously much: BlastRadius.
func (p *Pruning) Check() error {
	if !p.Plan.Radical() {
		return nil
	}
	return failure.Errorf(failure.BlastRadius, "the plan %s for %s removes %d of %d backups, more than half: nothing was removed",
		p.Plan.Hash, p.database, len(p.Plan.Removed()), len(p.Plan.Decisions))
}

// Pruned is what became of a plan. Kept is newest first, Removed oldest first.
type Pruned struct {
	job.PruneResult
	Reading []string // IDs that stay for now, because somebody reads them
}

// Remove carries out the part of the plan that may allows, oldest first. What is
// not failed goes to the trash for the grace of the policy. A backup that
// somebody reads, that was pinned since the plan was made, or that cannot be
// removed is among the kept ones; the error joins what went wrong, and is nil if
// all that stays is read or pinned.
func (p *Pruning) Remove(ctx context.Context, may func(repo.Manifest) bool) (Pruned, error) {
	res := Pruned{PruneResult: job.PruneResult{Kept: []job.Decision{}, Removed: []job.Decision{}}}
	var problems error
	stays, gone := map[string]string{}, map[string]bool{} // by ID; reasons
	for _, d := range p.Plan.Removed() {
		m := p.Manifests[d.ID]
		if !may(m) {
			continue
		}
		if ctx.Err() != nil {
			problems = errors.Join(problems, context.Cause(ctx))
			break
		}
		why, err := p.remove(m, d.Reason)
		switch {
		case failure.Of(err) == failure.Reading:
			stays[d.ID] = "would go, but is being read: " + d.Reason
			res.Reading = append(res.Reading, d.ID)
		case err != nil:
			stays[d.ID] = "removing it failed: " + err.Error()
			problems = errors.Join(problems, err)
		case why != "":
			stays[d.ID] = why
		default:
			gone[d.ID] = true
			res.Removed = append(res.Removed, job.Decision{ID: d.ID, Reason: d.Reason})
		}
	}
	for _, d := range p.Plan.Decisions {
		out := job.Decision{ID: d.ID, Reason: d.Reason}
		if why, ok := stays[d.ID]; ok {
			out.Reason = why
		}
		if !gone[d.ID] {
			res.Kept = append(res.Kept, out)
		}
	}
	return res, problems
}

// remove removes one backup, unless something keeps it after all, which it says.
func (p *Pruning) remove(m repo.Manifest, reason string) (stays string, err error) {
	grace := p.Policy.Grace.After(p.now).Sub(p.now)
	if m.State == repo.StateFailed {
		grace = 0
	}
	err = p.repo.TrashIf(p.database, m.ID, reason, p.now, grace, func() (err error) {
		if stays, err = p.changed(m); err == nil && stays != "" {
			err = errStays
		}
		return err
	})
	switch {
	case errors.Is(err, errStays):
		return stays, nil
	case failure.Of(err) == failure.UnknownBackup:
		return "", nil // somebody else has removed it
	}
	return "", err
}

var errStays = errors.New("the backup stays")

// changed says why a backup that would go stays.
func (p *Pruning) changed(m repo.Manifest) (stays string, err error) {
	// A pin needs no lease: it may have been set since the plan was made.
	pin, there, err := p.pin(m.ID)
	was, pinned := p.pins[m.ID]
	switch {
	case err != nil || !there:
		return "", err
	case pin != nil && (!pinned || was.String() != pin.String()):
		return fmt.Sprintf("pinned by %s since the plan was made: %s", pin.Owner, pin.Reason), nil
	}
	return p.overtaken(m)
}

// overtaken says why a backup that would go stays, now that a verification by
// hand, which needs no lease, found something else than the plan is about: of
// the backup itself, or of the newest one that counts, for which it would go.
func (p *Pruning) overtaken(m repo.Manifest) (stays string, err error) {
	about := []repo.Manifest{m}
	if m.State != repo.StateFailed {
		about = append(about, p.newest()...)
	}
	for _, was := range about {
		now, err := p.repo.Get(p.database, was.ID)
		switch {
		case failure.Of(err) == failure.UnknownBackup:
			return fmt.Sprintf("%s is gone since the plan was made", was.ID), nil
		case err != nil:
			return "", err
		case now.State != was.State:
			return fmt.Sprintf("%s is %s since the plan was made, and was %s", was.ID, now.State, was.State), nil
		}
	}
	return "", nil
}

// newest is the newest backup that counts in the plan, if any does.
func (p *Pruning) newest() []repo.Manifest {
	for _, d := range p.Plan.Decisions {
		m := p.Manifests[d.ID]
		if !d.Future && (m.State == repo.StateVerified || m.State == repo.StateStructure && p.Policy.CountStructure) {
			return []repo.Manifest{m}
		}
	}
	return nil
}

// Sweep frees what has been in the trash for long enough, and what interrupted
// runs left.
func (p *Pruning) Sweep() error {
	_, err := p.repo.Sweep(p.database, staleAfter, p.now)
	return err
}

// Prune applies the retention policy, frees what has been in the trash for long
// enough, and ends the run's lease. A plan that removes suspiciously much is
// refused, BlastRadius. What cannot be read, and what cannot be removed, is
// reported after the rest is done.
func (r *Runner) Prune(ctx context.Context, in job.PruneInput) (res job.PruneResult, err error) {
	d, err := r.database(in.Database)
	if err != nil {
		return res, err
	}
	done, err := r.lastLease(d.Name, in.Run)
	if err != nil {
		return res, err
	}
	defer func() { err = errors.Join(err, done()) }()
	p, err := r.plan(d)
	if err == nil {
		err = p.Check()
	}
	if err == nil {
		res, err = r.removed(ctx, p, func(repo.Manifest) bool { return true })
	}
	_, sweepErr := r.Repo.Sweep(d.Name, staleAfter, r.now())
	return res, errors.Join(err, sweepErr)
}

// removeFailed applies the policy to failed copies only.
func (r *Runner) removeFailed(ctx context.Context, d *config.Database) error {
	p, err := r.plan(d)
	if err != nil {
		return err
	}
	_, err = r.removed(ctx, p, func(m repo.Manifest) bool { return m.State == repo.StateFailed })
	return err
}

func (r *Runner) plan(d *config.Database) (*Pruning, error) {
	policy, err := d.Retention.Policy()
	if err != nil {
		return nil, failure.Errorf(failure.InvalidConfig, "the retention of %s: %w", d.Name, err)
	}
	return PlanPruning(r.Repo, d.Name, policy, r.now())
}

func (r *Runner) removed(ctx context.Context, p *Pruning, may func(repo.Manifest) bool) (job.PruneResult, error) {
	res, err := p.Remove(ctx, may)
	return res.PruneResult, errors.Join(err, p.Problems)
}
