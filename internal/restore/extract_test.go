package restore

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"canvasback/internal/engine/enginetest"
	"canvasback/internal/failure"
	"canvasback/internal/repo"
	"canvasback/internal/vfs"
	"canvasback/internal/vfs/vfstest"
)

// shop is a repository with one backup whose WAL can be replayed read-only, or
// only by a writer.
func shop(t *testing.T, dir string, wal ...string) *repo.Repo {
	t.Helper()
	source := filepath.Join(dir, "shop.duckdb")
	enginetest.Create(t, source, "CREATE TABLE customers(id INTEGER PRIMARY KEY)", "CREATE TABLE orders(id INTEGER, customer INTEGER REFERENCES customers(id))",
		"CREATE TABLE other AS SELECT range AS i FROM range(1000)", "INSERT INTO customers VALUES (1), (2)", "INSERT INTO orders VALUES (1, 1)")
	enginetest.CreateKilled(t, source, append(wal, "INSERT INTO customers VALUES (3)")...)
	require.NoError(t, os.Mkdir(filepath.Join(dir, "repo"), 0o700))
	r, err := repo.Open(vfs.OS(), filepath.Join(dir, "repo"))
	require.NoError(t, err)
	liveBackup(t, r, source)
	return r
}

func extractRequest(r *repo.Repo, target string) ExtractRequest {
	return ExtractRequest{FS: vfs.OS(), Repo: r, Database: "shop", Backup: repo.Latest, Target: target}
}

func TestExtractTables(t *testing.T) {
	for name, wal := range map[string][]string{"whose WAL is read in place": nil, "whose WAL needs a writer": {"CREATE INDEX by_i ON other(i)"}} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			r := shop(t, dir, wal...)
			before := tree(t, r.Dir())
			req := extractRequest(r, filepath.Join(dir, "new.duckdb"))
			req.Tables = []string{"customers", "main.orders"}
			var phases []string
			req.Progress = func(phase string, done, total int64) {
				if len(phases) == 0 || phases[len(phases)-1] != phase {
					phases = append(phases, phase)
				}
			}
			first := PhaseHash
			if wal != nil {
				first = PhaseScratch
			}
			res, err := Extract(t.Context(), req)
			require.NoError(t, err)
			assert.Equal(t, []string{first, PhaseTables, PhaseCheck}, phases)
			m, err := r.Get("shop", repo.Latest)
			require.NoError(t, err)
			require.Len(t, res.Tables, 2)
			for i, table := range res.Tables {
				assert.Equal(t, m.Verification.Tables[i], repo.Table{Name: table.Name, Rows: table.Rows, Fingerprint: table.Fingerprint})
			}
			assert.Equal(t, before, tree(t, r.Dir()), "the backup is only read")
			assert.Empty(t, res.Unchecked)
			assert.ElementsMatch(t, []string{"new.duckdb", "repo", "shop.duckdb", "shop.duckdb.wal"}, names(t, vfs.OS(), dir), "nothing else is left")
			info, err := os.Stat(req.Target)
			require.NoError(t, err)
			assert.Equal(t, os.FileMode(0o600), info.Mode())
			assert.Equal(t, []string{"3", "2"}, enginetest.QueryAll(t, req.Target, "SELECT count(*) FROM customers", "SELECT count(*) FROM duckdb_tables()"))
		})
	}
}

func TestExport(t *testing.T) {
	dir := t.TempDir()
	r := shop(t, dir)
	req := extractRequest(r, filepath.Join(dir, "out"))
	req.Export = true
	res, err := Extract(t.Context(), req)
	require.NoError(t, err)
	require.Len(t, res.Tables, 3)
	assert.ElementsMatch(t, []string{"export.json", "schema.sql", "main.customers.parquet", "main.orders.parquet", "main.other.parquet"}, names(t, vfs.OS(), req.Target))
	data, err := os.ReadFile(filepath.Join(req.Target, "export.json"))
	require.NoError(t, err)
	var doc struct {
		ID     string
		Tables []ExtractTable
	}
	require.NoError(t, json.Unmarshal(data, &doc))
	assert.Equal(t, res.ID, doc.ID)
	assert.Equal(t, res.Tables, doc.Tables)
	assert.Equal(t, int64(1000), doc.Tables[2].Rows)
	assert.Positive(t, doc.Tables[2].Bytes)
}

func TestExtractRefuses(t *testing.T) {
	dir := t.TempDir()
	r := shop(t, dir)
	there := filepath.Join(dir, "there")
	require.NoError(t, os.WriteFile(there, []byte("x"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "stray.wal"), []byte("x"), 0o600))
	for _, tt := range []struct {
		name string
		edit func(*ExtractRequest)
		kind *failure.Kind
		want string
	}{
		{"a table that is not there", func(q *ExtractRequest) { q.Tables = []string{"custmers"} }, failure.UnknownTable, "has no table custmers: it has main.customers, "},
		{"a foreign key to outside", func(q *ExtractRequest) { q.Tables = []string{"orders"} }, failure.Usage, "main.orders has a foreign key to main.customers"},
		{"a target that exists", func(q *ExtractRequest) { q.Target = there }, failure.TargetExists, "exists"},
		{"an export to what exists", func(q *ExtractRequest) { q.Target, q.Export = there, true }, failure.TargetExists, "exists"},
		{"a stray WAL", func(q *ExtractRequest) { q.Target = filepath.Join(dir, "stray") }, failure.TargetExists, "stray.wal exists"},
		{"a target in the repository", func(q *ExtractRequest) { q.Target = filepath.Join(r.Dir(), "shop", "x") }, failure.TargetBad, "inside the repository"},
		{"a pattern as target", func(q *ExtractRequest) { q.Target = filepath.Join(dir, "a*b") }, failure.TargetBad, "pattern"},
		{"too little memory", func(q *ExtractRequest) { q.Engine.MemoryLimit = "1KB" }, failure.VerifyMemory, "memory"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			req := extractRequest(r, filepath.Join(dir, "new"))
			tt.edit(&req)
			before := names(t, vfs.OS(), dir)
			_, err := Extract(t.Context(), req)
			requireKind(t, tt.kind, err)
			assert.ErrorContains(t, err, tt.want)
			assert.Equal(t, before, names(t, vfs.OS(), dir))
		})
	}
}

// TestExtractThatReadsDifferently: the manifest says something else than the
// engine reads, so nothing is put in place.
func TestExtractThatReadsDifferently(t *testing.T) {
	for _, export := range []bool{false, true} {
		dir := t.TempDir()
		r := shop(t, dir)
		require.NoError(t, r.Update("shop", latestID(t, r), func(m *repo.Manifest) error {
			m.Verification.Tables[0].Rows++
			return nil
		}))
		req := extractRequest(r, filepath.Join(dir, "new"))
		req.Export = export
		_, err := Extract(t.Context(), req)
		requireKind(t, failure.BackupBad, err)
		assert.ErrorContains(t, err, "main.customers has 3 rows, then 4")
		assert.NoFileExists(t, req.Target)
	}
}

func latestID(t testing.TB, r *repo.Repo) string {
	m, err := r.Get("shop", repo.Latest)
	require.NoError(t, err)
	return m.ID
}

// TestExtractUnderFailure fails each operation in turn, and ends the work
// before each: the target is whole or absent, and the next attempt succeeds and
// leaves nothing of the first.
func TestExtractUnderFailure(t *testing.T) {
	dir := t.TempDir()
	r := shop(t, dir, "CREATE INDEX by_i ON other(i)")
	inputs := names(t, vfs.OS(), dir)
	for _, export := range []bool{false, true} {
		for _, mode := range []string{"error", "interrupt", "kill"} {
			t.Run(map[bool]string{false: "tables/", true: "export/"}[export]+mode, func(t *testing.T) {
				for n := 1; ; n++ {
					req := extractRequest(r, filepath.Join(dir, "new"))
					req.Tables, req.Export = []string{"customers"}, export
					fired, err := broken(t, req, mode, n)
					whole(t, req, err)
					require.NoError(t, os.RemoveAll(req.Target))
					if !fired {
						require.NoError(t, err)
						require.Greater(t, n, 10, "the sweep saw operations")
						return
					}
					if mode != "kill" || n%4 != 1 {
						continue // the staging directory is for a later one to sweep
					}
					_, err = Extract(t.Context(), req)
					require.NoError(t, err)
					require.Equal(t, append([]string{"new"}, inputs...), names(t, vfs.OS(), dir), "nothing is left of the first")
					require.NoError(t, os.RemoveAll(req.Target))
				}
			})
		}
	}
}

// broken runs the request with its n-th change of the disk failing, with its
// context ended there, or with nothing done from there on, as when killed.
func broken(t *testing.T, req ExtractRequest, mode string, n int) (fired bool, err error) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	seen := 0
	req.FS = vfstest.Intercept(vfs.OS(), func(op vfstest.Op) error {
		if !op.Mutates() {
			return nil
		}
		seen++
		switch {
		case seen < n || mode != "kill" && seen > n:
			return nil
		case mode == "interrupt":
			cancel()
			fired = true
			return nil
		}
		fired = true
		return syscall.EIO
	})
	_, err = Extract(ctx, req)
	return fired, err
}

// whole holds the target to all or nothing.
func whole(t *testing.T, req ExtractRequest, err error) {
	t.Helper()
	_, statErr := os.Stat(req.Target)
	if errors.Is(statErr, os.ErrNotExist) {
		require.Error(t, err)
		return
	}
	require.NoError(t, statErr)
	if req.Export {
		require.Len(t, names(t, vfs.OS(), req.Target), 3)
		return
	}
	require.NoFileExists(t, req.Target+".wal")
	require.Equal(t, "3", enginetest.Query(t, req.Target, "SELECT count(*) FROM customers"))
}

// tree is the content of every file below dir.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	require.NoError(t, filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		all[path] = string(data)
		return err
	}))
	return all
}
