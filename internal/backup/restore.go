package backup

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"canvasback/internal/config"
	"canvasback/internal/failure"
	"canvasback/internal/job"
	"canvasback/internal/restore"
)

// Restore puts the backup in place of a target of the configuration. A target
// that is this backup already, as after an attempt that died before it could
// say so, is read and left as it is.
func (r *Runner) Restore(ctx context.Context, in job.RestoreStepInput, progress func(job.Progress)) (res job.RestoreResult, err error) {
	d, err := r.database(in.Database)
	if err != nil {
		return res, err
	}
	target, ok := d.Restore.Targets[in.Target]
	if !ok {
		others := "none"
		if len(d.Restore.Targets) > 0 {
			others = strings.Join(slices.Sorted(maps.Keys(d.Restore.Targets)), ", ")
		}
		return res, failure.Errorf(failure.TargetBad, "the configuration of host %s has no restore target %q for %s; it has: %s", r.Config.Host, in.Target, d.Name, others)
	}
	m, err := r.Repo.Get(d.Name, in.ID)
	if err != nil {
		return res, err
	}
	key, err := config.ReadKeyFile(d.KeyFile)
	if err != nil {
		return res, err
	}
	meter := newMeter("restore", progress)
	done, err := restore.Run(ctx, restore.Request{
		FS: r.fs, Repo: r.Repo, Database: d.Name, Backup: m.ID, Target: target, KeepOld: in.KeepOld, Resume: true,
		Scan: restore.Scanner(restore.Engine{
			Key: key, Command: d.Engine.Command, MemoryLimit: d.Verify.MemoryLimit, Threads: d.Verify.Threads, Timeout: time.Duration(d.Verify.Timeout),
		}),
		Progress: func(done, total int64) { meter.report("copy", 1, done, total) },
	})
	if err != nil {
		return res, err
	}
	res = job.RestoreResult{
		ID: m.ID, Database: d.Name, Target: in.Target, Path: target, MovedAside: append([]string{}, done.MovedAside...),
		Bytes: done.Bytes, Tables: len(done.Tables), Seconds: done.Seconds,
	}
	for _, t := range done.Tables {
		res.Rows += t.Rows
	}
	return res, nil
}
