package e2e

import (
	"net"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"canvasback/internal/engine/enginetest"
	"canvasback/internal/failure"
	"canvasback/internal/repo"
	"canvasback/standalone/server"
)

// finished waits for the run and returns its backup's manifest.
func (w *world) finished(r runDoc) *repo.Manifest {
	w.t.Helper()
	var s statusDoc
	within(w.t, 10*time.Minute, "the run ends", func() bool { s = w.status(); return s.Last != nil && s.Last.RunID == r.RunID })
	require.Equal(w.t, "verified", s.Last.State, s.Last.Error)
	return w.manifest(s.Last.Backup)
}

// holdsAll checks that the copy has what the source has, which nobody writes.
func (w *world) holdsAll(m *repo.Manifest) {
	w.t.Helper()
	const sums = "SELECT count(*) || ' ' || bit_xor(a) || ' ' || bit_xor(b) || ' ' || bit_xor(c) || ' ' || bit_xor(d) FROM noise"
	stored := filepath.Join(w.repository, w.name(), m.ID, m.Files[0].Name)
	assert.Equal(w.t, enginetest.Query(w.t, w.database, sums), enginetest.Query(w.t, stored, sums))
}

func TestWorkerIsKilledInMidCopy(t *testing.T) {
	t.Parallel()
	w := newWorld(t, shared.HostPort())
	size := w.createLarge(1 << 30)
	config := w.slow("96MB")
	first := w.startWorker("--config", config)
	w.waitForWorker()
	var started runDoc
	w.do(&started, "run", "--no-wait")
	w.copied(size / 3)
	require.Equal(t, -1, first.stop(syscall.SIGKILL))
	told := w.status().Running.Progress.Done
	killed := time.Now()

	w.startWorker("--config", config)
	m := w.finished(started)
	a := m.Acceptance
	twice := max(told-a.BytesResumed, a.BytesRead-size, 0)
	t.Logf("%d bytes; killed after it told of %d, the second worker went on at %d: %d bytes were copied twice; the run ended %s after the kill",
		size, told, a.BytesResumed, twice, time.Since(killed).Round(time.Second))
	assert.Greater(t, a.BytesResumed, size/4, "it did not begin anew")
	assert.Less(t, twice, size/10, "little was copied twice")
	assert.Equal(t, 1, a.Attempts)
	w.holdsAll(m)
	assert.Empty(t, w.staged())
}

func TestWorkerIsStoppedInMidCopy(t *testing.T) {
	t.Parallel()
	w := newWorld(t, shared.HostPort())
	size := w.createLarge(128 << 20)
	config := w.slow("24MB")
	first := w.startWorker("--config", config)
	w.waitForWorker()
	var started runDoc
	w.do(&started, "run", "--no-wait")
	w.copied(size / 3)
	began := time.Now()
	require.Equal(t, failure.ExitDone, first.stop(syscall.SIGTERM))
	took := time.Since(began)
	assert.Less(t, took, 20*time.Second)

	w.startWorker("--config", config)
	m := w.finished(started)
	a := m.Acceptance
	t.Logf("%d bytes; stopped in %s; the second worker went on at %d; read in all %d", size, took, a.BytesResumed, a.BytesRead)
	assert.Greater(t, a.BytesResumed, size/4)
	assert.LessOrEqual(t, a.BytesRead, size, "nothing was copied twice")
	w.holdsAll(m)
}

func TestServerGoesAwayInMidCopy(t *testing.T) {
	t.Parallel()
	s := startServer(t, server.Options{})
	w := newWorld(t, s.HostPort())
	size := w.createLarge(256 << 20)
	w.startWorker("--config", w.slow("12MB"))
	w.waitForWorker()
	var started runDoc
	w.do(&started, "run", "--no-wait")
	w.copied(size / 8)
	require.NoError(t, s.Stop())
	w.refused(failure.TemporalUnreachable, "status")

	s.start()
	m := w.finished(started)
	a := m.Acceptance
	t.Logf("%d bytes; read in all %d, resumed %d", size, a.BytesRead, a.BytesResumed)
	assert.LessOrEqual(t, a.BytesRead-size, size/10, "little or nothing was copied twice")
	w.holdsAll(m)
}

func TestWorkerWaitsForTheServer(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	port := l.Addr().(*net.TCPAddr).Port
	require.NoError(t, l.Close())
	w := newWorld(t, l.Addr().String())
	w.create()
	p := w.startWorker()
	eventually(t, "the worker says that it waits", func() bool { return len(p.said()) > 0 })
	assert.Contains(t, p.said(), l.Addr().String())
	startServer(t, server.Options{FrontendPort: port})
	w.waitForWorker()
	var result resultDoc
	w.do(&result, "run")
	assert.Equal(t, "verified", result.State)
	assert.Equal(t, failure.ExitDone, p.stop(syscall.SIGTERM))
}
