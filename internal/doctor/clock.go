package doctor

import (
	"time"

	"canvasback/internal/repo"
)

const setClock = "timedatectl set-ntp true"

// kernelClock asks the kernel. Retention goes by the time of a backup: one that
// was taken under a wrong clock is kept too long, or not long enough.
func (c *Checkup) kernelClock() Finding { return kernelClock(synchronized()) }

func kernelClock(yes, known bool) Finding {
	const check = "clock.synchronized"
	switch {
	case !known:
		return finding(check, Skipped, "", "the kernel does not tell whether its clock is kept right")
	case !yes:
		return finding(check, Warn, setClock, "the kernel says that nothing keeps its clock right")
	}
	return finding(check, OK, "", "the kernel's clock is kept right")
}

// backupTimes looks for backups from the future: then the clock was set back,
// or another machine with another clock writes the repository.
func backupTimes(r *repo.Repo, database string, now time.Time) Finding {
	const check = "repository.times"
	all, err := r.List(database)
	if len(all) == 0 {
		if err != nil {
			return finding(check, Fail, "starter check --repository "+r.Dir(), "the backups cannot be listed: %v", err)
		}
		return finding(check, OK, "", "there is no backup yet")
	}
	newest := all[len(all)-1]
	if ahead := newest.Started.Sub(now); ahead > clockTolerance {
		return finding(check, Fail, setClock+"; then look at the backup with 'starter list'",
			"backup %s began %s from now, in the future: the clock is wrong, or was when it was taken", newest.ID, ahead.Round(time.Second))
	}
	if err != nil {
		return finding(check, Fail, "starter check --repository "+r.Dir(), "some backups cannot be listed: %v", err)
	}
	return finding(check, OK, "", "%d backups, the newest of %s", len(all), newest.Started.UTC().Format(time.RFC3339))
}

// clockTolerance is how far clocks may differ.
const clockTolerance = 30 * time.Second
