package enginetest_test

import (
	"context"
	"database/sql"
	"fmt"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	_ "github.com/duckdb/duckdb-go/v2"
	"github.com/stretchr/testify/require"
)

// BenchmarkWriterDuring measures what each way to take a backup costs a service
// that writes: its commits a second, in percent of those just before, its
// slowest commit, and how long the backup took. This process is the service;
// canvasback runs in another one, as it must. Each round has a database of
// about 190 MB of its own.
//
//	go test ./internal/engine/enginetest -run '^$' -bench WriterDuring -benchtime 3x
func BenchmarkWriterDuring(b *testing.B) {
	starter := filepath.Join(b.TempDir(), "starter")
	out, err := exec.Command("go", "build", "-o", starter, "canvasback/starter").CombinedOutput()
	require.NoError(b, err, string(out))
	for _, method := range []struct {
		name string
		take func(db *sql.DB, path, to string) error
	}{
		{"export", func(db *sql.DB, _, to string) error {
			_, err := db.Exec(fmt.Sprintf("EXPORT DATABASE '%s' (FORMAT parquet)", filepath.Join(to, "export")))
			return err
		}},
		{"copy_from_database", func(db *sql.DB, _, to string) error {
			_, err := db.Exec(fmt.Sprintf("ATTACH '%s' AS copied; COPY FROM DATABASE shop TO copied; DETACH copied", filepath.Join(to, "copied.duckdb")))
			return err
		}},
		{"canvasback", func(_ *sql.DB, path, to string) error {
			out, err := exec.Command(starter, "backup", "--local", "--database", "shop="+path, "--repository", to).CombinedOutput()
			if err != nil {
				return fmt.Errorf("%w: %s", err, out)
			}
			return nil
		}},
	} {
		b.Run(method.name, func(b *testing.B) {
			var share, slowest, took float64
			for range b.N {
				dir, to := b.TempDir(), b.TempDir()
				path := filepath.Join(dir, "shop.duckdb")
				s := open(b, path)
				before := s.during(b, func() error { time.Sleep(3 * time.Second); return nil })
				while := s.during(b, func() error { return method.take(s.db, path, to) })
				s.close(b)
				share += 100 * while.rate() / before.rate()
				slowest = max(slowest, while.slowest.Seconds())
				took += while.took.Seconds()
			}
			b.ReportMetric(share/float64(b.N), "%commits")
			b.ReportMetric(1000*slowest, "ms-slowest-commit")
			b.ReportMetric(took/float64(b.N), "s/backup")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// service is a database with one connection that commits without end.
type service struct {
	db     *sql.DB
	cancel context.CancelFunc
	ended  chan error

	mu      sync.Mutex // guards what follows
	commits int
	slowest time.Duration
}

// load is what the writer did meanwhile.
type load struct {
	commits       int
	slowest, took time.Duration
}

func (l load) rate() float64 { return float64(l.commits) / l.took.Seconds() }

func open(b *testing.B, path string) *service {
	db, err := sql.Open("duckdb", path)
	require.NoError(b, err)
	_, err = db.Exec(`CREATE TABLE noise AS SELECT hash(range) a, hash(range + 1_000_000_000) b, hash(range + 2_000_000_000) c FROM range(8_000_000);
		CREATE TABLE ledger(id BIGINT, note VARCHAR); CHECKPOINT`)
	require.NoError(b, err)
	ctx, cancel := context.WithCancel(context.Background())
	s := &service{db: db, cancel: cancel, ended: make(chan error, 1)}
	go func() { s.ended <- s.write(ctx) }()
	return s
}

func (s *service) write(ctx context.Context) error {
	for id := 0; ctx.Err() == nil; id++ {
		began := time.Now()
		if _, err := s.db.Exec("INSERT INTO ledger VALUES (?, 'a note of an ordinary length')", id); err != nil {
			return err
		}
		s.mu.Lock()
		s.commits++
		s.slowest = max(s.slowest, time.Since(began))
		s.mu.Unlock()
	}
	return nil
}

func (s *service) during(b *testing.B, do func() error) load {
	s.mu.Lock()
	s.commits, s.slowest = 0, 0
	s.mu.Unlock()
	began := time.Now()
	require.NoError(b, do())
	took := time.Since(began)
	s.mu.Lock()
	defer s.mu.Unlock()
	return load{s.commits, s.slowest, took}
}

func (s *service) close(b *testing.B) {
	s.cancel()
	require.NoError(b, <-s.ended)
	require.NoError(b, s.db.Close())
}
