package crashtest

import (
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"

	"canvasback/internal/engine/enginetest"
)

// contentBook has what the engine read in each different content.
type contentBook struct {
	t     testing.TB
	mu    sync.Mutex // guards known
	known map[string]int64
}

func newContentBook(t testing.TB) *contentBook {
	return &contentBook{t: t, known: map[string]int64{}}
}

// rows opens a copy of the database with its WAL and counts. The test ends
// where the engine cannot.
func (b *contentBook) rows(c content) (int64, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	key := c.sum()
	if n, ok := b.known[key]; ok {
		return n, nil
	}
	dir, err := os.MkdirTemp(bin, "content")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	name := filepath.Join(dir, "shop.duckdb")
	if err := os.WriteFile(name, []byte(c.db), 0o600); err != nil {
		return 0, err
	}
	if c.wal != "-" {
		if err := os.WriteFile(name+".wal", []byte(c.wal), 0o600); err != nil {
			return 0, err
		}
	}
	n, err := strconv.ParseInt(enginetest.Query(b.t, name, "SELECT count(*) FROM t"), 10, 64)
	if err == nil {
		b.known[key] = n
	}
	return n, err
}
