package enginetest_test

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"canvasback/internal/engine/enginetest"
	"canvasback/internal/hotcopy"
	"canvasback/internal/pace"
	"canvasback/internal/vfs"
)

// BenchmarkCommitsBesideCopies measures what four copies of other databases at
// once, which are not in the page cache, cost a service on the same disk: the
// median of its commits and the 99th percentile, as multiples of those just
// before, and how long the copies took. Each commit waits for its sync.
//
//	go test ./internal/engine/enginetest -run '^$' -bench BesideCopies -benchtime 3x
func BenchmarkCommitsBesideCopies(b *testing.B) {
	dir := b.TempDir()
	var sources []string
	for i := range 4 {
		sources = append(sources, filepath.Join(dir, fmt.Sprintf("other%d.duckdb", i)))
	}
	enginetest.Create(b, sources[0], "CREATE TABLE noise AS SELECT hash(range) a, hash(range + 1_000_000_000) b, hash(range + 2_000_000_000) c FROM range(8_000_000)")
	for _, to := range sources[1:] {
		enginetest.CopyFile(b, sources[0], to)
	}
	for _, bound := range []struct {
		name string
		pace func() *pace.Pace
	}{
		{"no_limit", func() *pace.Pace { return nil }},
		{"40_MB", func() *pace.Pace { return pace.New(pace.Options{Limit: 40e6}) }},
		{"adaptive_10_to_400_MB", func() *pace.Pace {
			return pace.New(pace.Options{Limit: 400e6, Floor: 10e6, Stalled: pace.Stalled(pace.Machine)})
		}},
	} {
		b.Run(bound.name, func(b *testing.B) {
			var median, tail, took float64
			for range b.N {
				w := openWriter(b, filepath.Join(b.TempDir(), "shop.duckdb"))
				forget(b, sources)
				before := w.during(b, func() error { time.Sleep(5 * time.Second); return nil })
				began := time.Now()
				while := w.during(b, func() error { return copyAll(sources, b.TempDir(), bound.pace()) })
				took += time.Since(began).Seconds()
				w.close(b)
				median += float64(at(while, 0.5)) / float64(at(before, 0.5))
				tail += float64(at(while, 0.99)) / float64(at(before, 0.99))
			}
			b.ReportMetric(median/float64(b.N), "×p50")
			b.ReportMetric(tail/float64(b.N), "×p99")
			b.ReportMetric(took/float64(b.N), "s/copies")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// forget takes files out of the page cache.
func forget(b *testing.B, files []string) {
	for _, name := range files {
		f, err := os.Open(name)
		require.NoError(b, err)
		require.NoError(b, f.Sync())
		require.NoError(b, unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED))
		require.NoError(b, f.Close())
	}
}

// copyAll copies all at once.
func copyAll(sources []string, to string, bound *pace.Pace) error {
	faults := make(chan error, len(sources))
	for i, path := range sources {
		go func() {
			dir := filepath.Join(to, fmt.Sprint(i))
			if err := os.Mkdir(dir, 0o700); err != nil {
				faults <- err
				return
			}
			o := hotcopy.Options{FS: vfs.OS(), Path: path, Dir: dir, Name: "copy"}
			if bound != nil {
				share := bound.Share()
				defer share.Close()
				o.Limiter = share
			}
			_, err := hotcopy.Copy(context.Background(), o)
			faults <- err
		}()
	}
	var first error
	for range sources {
		if err := <-faults; first == nil {
			first = err
		}
	}
	return first
}

// at is the quantile of sorted times.
func at(sorted []time.Duration, q float64) time.Duration {
	return sorted[min(len(sorted)-1, int(q*float64(len(sorted))))]
}

// writer is a service that commits without end, and notes how long each took.
type writer struct {
	db     *sql.DB
	cancel context.CancelFunc
	ended  chan error

	mu    sync.Mutex
	times []time.Duration
}

func openWriter(b *testing.B, path string) *writer {
	db, err := sql.Open("duckdb", path)
	require.NoError(b, err)
	_, err = db.Exec("CREATE TABLE ledger(id BIGINT, note VARCHAR)")
	require.NoError(b, err)
	ctx, cancel := context.WithCancel(context.Background())
	w := &writer{db: db, cancel: cancel, ended: make(chan error, 1)}
	go func() { w.ended <- w.write(ctx) }()
	return w
}

func (w *writer) write(ctx context.Context) error {
	for id := 0; ctx.Err() == nil; id++ {
		began := time.Now()
		if _, err := w.db.Exec("INSERT INTO ledger VALUES (?, 'a note of an ordinary length')", id); err != nil {
			return err
		}
		w.mu.Lock()
		w.times = append(w.times, time.Since(began))
		w.mu.Unlock()
	}
	return nil
}

// during is how long the commits took that ended meanwhile, sorted.
func (w *writer) during(b *testing.B, do func() error) []time.Duration {
	w.mu.Lock()
	w.times = nil
	w.mu.Unlock()
	require.NoError(b, do())
	w.mu.Lock()
	defer w.mu.Unlock()
	require.NotEmpty(b, w.times)
	slices.Sort(w.times)
	return slices.Clone(w.times)
}

func (w *writer) close(b *testing.B) {
	w.cancel()
	require.NoError(b, <-w.ended)
	require.NoError(b, w.db.Close())
}
