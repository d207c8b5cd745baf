package fleettest

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestFleet(t *testing.T) {
	t.Parallel() // both wait most of the time
	s := newStage(t)
	var hosts []*host
	for i, name := range []string{"db1", "db2"} {
		hosts = append(hosts, s.addHost(name, *databases/2, *live, connect(t, i+1)))
	}
	first, second := hosts[0], hosts[1]
	s.startWorker(first, workerProgram)
	if *oldWorker != "" {
		s.startWorker(second, *oldWorker)
	} else {
		s.startWorker(second, workerProgram)
	}
	w := s.watch(min(30*time.Second, *every/4))
	s.rhythm.soon(time.Now(), *databases)
	took := s.schedule()
	begin := s.rhythm.after(time.Now())
	ticks := int(*lasts / *every)
	s.note("%d schedules %q are applied in %s, first due %s", *databases, s.rhythm.cron(), took, begin.Format(time.TimeOnly))
	due := func(i int) time.Time { return begin.Add(time.Duration(i) * *every) }

	// 1. A cable is pulled while runs fall due.
	wait(due(ticks / 4).Add(*jitter / 8))
	cut := time.Now()
	first.cable.pull()
	s.note("the cable of %s is pulled", first.name)
	wait(cut.Add(*every * 4 / 15))
	first.cable.plugIn()
	back := time.Now()
	s.note("the cable of %s is in again, after %s", first.name, back.Sub(cut).Round(time.Second))

	// 2. A worker is killed, with runs at work: in a short run at once.
	kill := func() {
		s.atWork(first)
		n := s.running(first)
		first.worker().end(syscall.SIGKILL)
		s.note("the worker of %s is killed with %d runs at work", first.name, n)
		wait(time.Now().Add(min(20*time.Second, *every/8)))
		s.startWorker(first, workerProgram)
		s.note("it is started again")
	}
	if ticks < 4 {
		kill()
	}

	// 3. A worker makes way for another build, with runs at work.
	wait(due(ticks / 2).Add(*jitter / 8))
	s.roll(second)

	if ticks >= 4 {
		wait(due(ticks * 3 / 4).Add(*jitter / 4))
		kill()
	}

	last := due(ticks - 1)
	wait(last.Add(*jitter + 2*time.Second))
	s.pauseAll()
	s.note("the schedules are paused")
	s.settled()
	s.note("no run is at work")
	w.end()
	w.save("fleet")

	v := s.compare(last)
	s.replayed()
	if *every >= time.Minute {
		assert.Zero(t, v.skipped, "starts skipped because a run was at work")
	}
	for _, h := range hosts {
		for _, o := range h.owners {
			require.Positive(t, o.Committed())
		}
	}
	restored := s.restoreSome(*restores)
	s.report("fleet", v.String(), s.duringCut(v, first, cut, back), fmt.Sprintf("backups verified and restored: %d\n", restored), w.table(), v.latencies(), s.perBackup(v))
}

// roll replaces the worker of a host by a new one, in good order.
func (s *stage) roll(h *host) {
	s.t.Helper()
	s.atWork(h)
	n := s.running(h)
	began := time.Now()
	h.worker().end(syscall.SIGTERM)
	s.startWorker(h, workerProgram)
	s.note("the worker of %s made way for another build with %d runs at work; it took %s to end", h.name, n, time.Since(began).Round(100*time.Millisecond))
}

// atWork waits for a run of the host that has begun and not ended.
func (s *stage) atWork(h *host) {
	s.t.Helper()
	s.eventually("a run of "+h.name+" is at work", *every+5*time.Minute, func() bool { return s.running(h) > 0 })
}

// duringCut tells what became of the runs that fell due while a host was away.
func (s *stage) duringCut(v *verdict, h *host, cut, back time.Time) string {
	n, after := 0, 0
	var late []time.Duration
	for _, r := range v.runs {
		if len(r.database) < len(h.name) || r.database[:len(h.name)] != h.name || r.began.Before(cut) || r.began.After(back) {
			continue
		}
		n++
		if r.ended.After(back) {
			after++
			late = append(late, r.ended.Sub(back))
		}
	}
	assert.Equal(s.t, n, after, "runs that began while the host was away end when it is back")
	return fmt.Sprintf("runs of %s that fell due while it was away: %d, done after it was back: %d\n%s", h.name, n, after, spread("back to their end", late))
}

// perBackup is what one backup cost.
func (s *stage) perBackup(v *verdict) string {
	var workers float64
	for _, h := range s.hosts {
		workers += h.cpu()
	}
	n := float64(max(1, v.backups))
	return fmt.Sprintf("CPU seconds a backup: workers and their engines %.3f, server %.3f\nTemporal's database: %.1f MiB, %.1f KiB a run\n",
		workers/n, s.server.cpu()/n, mib(s.storeBytes()), float64(s.storeBytes())/1024/max(1, float64(len(v.runs))))
}

func wait(until time.Time) { time.Sleep(time.Until(until)) }
