package fleettest

import (
	"fmt"
	"testing"
	"time"
)

// TestLoad gives one worker all databases, and measures.
func TestLoad(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	h := s.addHost("db1", *databases, *live, nil)
	s.startWorker(h, workerProgram)
	w := s.watch(min(30*time.Second, *every/4))
	s.rhythm.soon(time.Now(), *databases)
	took := s.schedule()
	begin := s.rhythm.after(time.Now())
	s.note("%d schedules %q are applied in %s, first due %s", *databases, s.rhythm.cron(), took, begin.Format(time.TimeOnly))
	wait(begin)
	server, worker, store := s.server.cpu(), h.cpu(), s.storeBytes()
	s.note("CPU seconds so far: server %.1f, worker %.1f; Temporal's database %.1f MiB", server, worker, mib(store))

	last := begin.Add(*lasts - *every)
	wait(last.Add(*jitter / 2))
	var times string
	for _, args := range [][]string{
		{"status", "--address", s.address, "--host", h.name}, {"list", "--repository", h.repository},
	} {
		began := time.Now()
		status, _, errOut := starter(args...)
		times += fmt.Sprintf("starter %s: %s, exit status %d %s\n", args[0], time.Since(began).Round(time.Millisecond), status, errOut)
	}
	wait(last.Add(*jitter + 2*time.Second))
	if *every < time.Minute {
		s.pauseAll()
	}
	s.settled()
	s.note("no run is at work, %s after the first was due", time.Since(begin).Round(time.Second))
	w.end()
	server, worker, store = s.server.cpu()-server, h.cpu()-worker, s.storeBytes()-store
	w.save("load")
	s.pauseAll()

	v := s.compare(last)
	n := float64(max(1, v.backups))
	cost := fmt.Sprintf("a backup: CPU seconds %.3f of the worker and its engines, %.3f of the server; %.1f KiB of Temporal's database\n",
		worker/n, server/n, float64(store)/1024/n)
	s.report("load", v.String(), cost, times, w.table(), v.latencies(), fmt.Sprintf("backups verified and restored: %d\n", s.restoreSome(*restores)))
}
