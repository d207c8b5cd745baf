package hotcopy_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"canvasback/internal/duckfile"
	"canvasback/internal/engine/enginetest"
	"canvasback/internal/hotcopy"
)

// withFreeIDs raises the block count of a closed database by n and puts the new
// ids on the free list, as a live owner does before it writes their blocks.
func withFreeIDs(t *testing.T, db []byte, n int64) []byte {
	t.Helper()
	db = append([]byte(nil), db...)
	h, err := duckfile.ParseHeaders(db[:duckfile.BlocksStart], nil)
	require.NoError(t, err)
	cur, a := h.Current(), h.Current().BlockAllocSize
	block := db[duckfile.BlockOffset(cur.FreeList.Block(), a):][:a]
	s := duckfile.SubBlockSize(a)
	sub := block[8+cur.FreeList.Sub()*s:][:s]
	le := binary.LittleEndian
	require.Equal(t, uint64(duckfile.NoPointer), le.Uint64(sub), "the list fits one sub-block")
	free := int64(le.Uint64(sub[8:]))
	rest := append([]byte(nil), sub[16+8*free:s-8*n]...) // shared and metadata blocks
	le.PutUint64(sub[8:], uint64(free+n))
	for i := range n {
		le.PutUint64(sub[16+8*(free+i):], uint64(cur.BlockCount+i))
	}
	copy(sub[16+8*(free+n):], rest)
	le.PutUint64(block, duckfile.Checksum(block[8:]))

	slot := duckfile.HeaderSize
	if le.Uint64(db[slot+8:]) != cur.Iteration {
		slot += duckfile.HeaderSize
	}
	require.Equal(t, cur.Iteration, le.Uint64(db[slot+8:]))
	le.PutUint64(db[slot+32:], uint64(cur.BlockCount+n))
	return sealed(db, int(slot))
}

func TestCopyOfABlockCountBeyondTheFilesEnd(t *testing.T) {
	path := filepath.Join(t.TempDir(), "live.duckdb")
	enginetest.Create(t, path, "CREATE TABLE t AS SELECT i FROM range(200000) r(i)")
	db, err := os.ReadFile(path)
	require.NoError(t, err)
	for _, n := range []int64{1, 100} {
		require.NoError(t, os.WriteFile(path, withFreeIDs(t, db, n), 0o600))
		in, err := hotcopy.Inspect(options(t, path).FS, path, nil)
		require.NoError(t, err)
		require.Greater(t, duckfile.BlockOffset(in.Blocks.Count, in.Blocks.Bytes), in.Bytes)
		opts := options(t, path)
		_, err = hotcopy.Copy(context.Background(), opts)
		require.NoError(t, err)
		copied := filepath.Join(opts.Dir, "copy.duckdb")
		enginetest.Create(t, copied, "INSERT INTO t SELECT i FROM range(200000, 900000) r(i)", "CHECKPOINT") // into those blocks
		assert.Equal(t, "900000 900000", enginetest.Query(t, copied, "SELECT count(*) || ' ' || count(DISTINCT i) FROM t"), "%d ids", n)
	}
}

// allocated is what a file takes on its disk, in bytes.
func allocated(t *testing.T, path string) int64 {
	t.Helper()
	var st unix.Stat_t
	require.NoError(t, unix.Stat(path, &st))
	return st.Blocks * 512
}

// TestCopyOfASparseFile has a hole of 8 GiB behind its blocks, such as a
// mapped file leaves behind.
func TestCopyOfASparseFile(t *testing.T) {
	for _, c := range []struct {
		name  string
		stmts []string
		rows  string
	}{
		{"no WAL", []string{"CHECKPOINT"}, "200000"},
		{"a WAL that holds rows", []string{"CHECKPOINT", "INSERT INTO t VALUES (-1, '')"}, "200001"},
		{"a WAL that refers to blocks", []string{"CHECKPOINT", "SET checkpoint_threshold = '10GB'",
			"INSERT INTO t SELECT -i - 1, repeat(md5(i::VARCHAR), 3) FROM range(200000) r(i)"}, "400000"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "live.duckdb")
			enginetest.CreateKilled(t, path, append([]string{"CREATE TABLE t AS SELECT i, repeat(md5(i::VARCHAR), 3) AS s FROM range(200000) r(i)"}, c.stmts...)...)
			require.NoError(t, os.Truncate(path, 8<<30))
			data := allocated(t, path)
			require.Less(t, data, int64(100<<20))
			opts := options(t, path)
			began := time.Now()
			res, err := hotcopy.Copy(context.Background(), opts)
			require.NoError(t, err)
			t.Logf("read %d bytes in %v for %d", res.BytesRead, time.Since(began), data)
			copied := filepath.Join(opts.Dir, "copy.duckdb")
			assert.Less(t, allocated(t, copied), data+4<<20)
			assert.Less(t, res.BytesRead, 2*data+4<<20)
			assert.Equal(t, c.rows+" "+c.rows, enginetest.Query(t, copied, "SELECT count(*) || ' ' || count(DISTINCT i) FROM t"))
		})
	}
}

func TestCopyOfADatabaseThatIsOnlyItsHeader(t *testing.T) {
	for _, c := range []struct {
		name   string
		stmts  []string
		rule   string
		tables string
	}{
		{"no WAL", nil, "C", "0"},
		{"commits in the WAL", []string{"CREATE TABLE t(i INTEGER)", "INSERT INTO t VALUES (1)", "CREATE TABLE u AS SELECT 2 AS i"}, "A", "2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "live.duckdb")
			enginetest.CreateKilled(t, path, c.stmts...)
			info, err := os.Stat(path)
			require.NoError(t, err)
			require.EqualValues(t, duckfile.BlocksStart, info.Size())
			opts := options(t, path)
			res, err := hotcopy.Copy(context.Background(), opts)
			require.NoError(t, err)
			assert.Equal(t, c.rule, res.Rule)
			assert.EqualValues(t, len(c.stmts), res.Commits)
			assert.Zero(t, res.Blocks)
			copied := filepath.Join(opts.Dir, "copy.duckdb")
			assert.Equal(t, c.tables, enginetest.Query(t, copied, "SELECT count(*) FROM duckdb_tables()"))
			enginetest.Create(t, copied, "CREATE TABLE more AS SELECT 42 AS i")
			assert.Equal(t, "42", enginetest.Query(t, copied, "SELECT i FROM more"))
		})
	}
}

// TestCopyOfADatabaseThatReadersHold has three processes that hold read locks
// while the copy runs, and a WAL that they cannot fold.
func TestCopyOfADatabaseThatReadersHold(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "live.duckdb")
	enginetest.CreateKilled(t, path, ledger(5)...)
	var pids []int
	for i := range 3 {
		o := enginetest.StartOwner(t, filepath.Join(dir, fmt.Sprintf("reader%d.duckdb", i)), enginetest.OwnerOptions{
			Pause: time.Millisecond, Setup: []string{fmt.Sprintf("ATTACH '%s' AS seen (READ_ONLY)", path)},
		})
		o.Exec(t, "SELECT sum(id) FROM seen.ledger")
		pids = append(pids, o.PID())
	}
	opts := options(t, path)
	res, err := hotcopy.Copy(context.Background(), opts)
	require.NoError(t, err)
	assert.True(t, res.Held)
	assert.Contains(t, pids, res.OwnerPID)
	assert.EqualValues(t, 5, res.Commits)
	assert.Equal(t, ids(5), enginetest.Query(t, filepath.Join(opts.Dir, "copy.duckdb"), "SELECT string_agg(id::VARCHAR, ' ' ORDER BY id) FROM ledger"))
}

// TestCopyOfAFileThatGrows has the owner load 130 MB of rows after each of
// eight reads. The copy is no larger than the file was when it began.
func TestCopyOfAFileThatGrows(t *testing.T) {
	const rows, loads = 130_000, 8
	load := func(n int) string {
		return fmt.Sprintf("INSERT INTO filler SELECT i, repeat(md5(i::VARCHAR), 32) FROM range(%d, %d) r(i)", n*rows, (n+1)*rows)
	}
	path := filepath.Join(t.TempDir(), "live.duckdb")
	o := enginetest.StartOwner(t, path, enginetest.OwnerOptions{
		CheckpointThreshold: "100GB", BulkEvery: -1, Pause: time.Millisecond,
		Setup: []string{"SET force_compression = 'uncompressed'", "CREATE TABLE filler(i BIGINT, s VARCHAR)", load(0)},
	})
	size := func(path string) int64 {
		info, err := os.Stat(path)
		require.NoError(t, err)
		return info.Size()
	}
	atLeast, before := o.Committed(), size(path)
	opts := options(t, path)
	done := 0
	opts.Progress = func(p hotcopy.Progress) {
		if p.Phase == "copy" && done < loads {
			done++
			o.Exec(t, load(done))
		}
	}
	began := time.Now()
	res, err := hotcopy.Copy(context.Background(), opts)
	require.NoError(t, err)
	after := size(path)
	t.Logf("from %d to %d MB in %v, rule %s, %d attempts", before>>20, after>>20, time.Since(began), res.Rule, res.Attempts)
	require.Equal(t, loads, done)
	require.Greater(t, after, before+1000<<20)
	assert.Equal(t, "A", res.Rule)
	assert.Equal(t, 1, res.Attempts)
	copied := filepath.Join(opts.Dir, "copy.duckdb")
	assert.LessOrEqual(t, size(copied), before)
	enginetest.CheckPrefix(t, copied, atLeast)
	assert.Equal(t, "130000 130000 true", enginetest.Query(t, copied,
		"SELECT count(*) || ' ' || count(DISTINCT i) || ' ' || bool_and(s = repeat(md5(i::VARCHAR), 32)) FROM filler"))
	o.Kill(t)
}

func TestCopyOfOtherBlockSizes(t *testing.T) {
	for _, a := range []int64{16 << 10, 64 << 10} {
		t.Run(fmt.Sprint(a), func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "live.duckdb")
			enginetest.Create(t, filepath.Join(dir, "maker.duckdb"), fmt.Sprintf("ATTACH '%s' AS made (BLOCK_SIZE %d)", path, a),
				"CREATE TABLE made.t AS SELECT i, md5(i::VARCHAR) AS s FROM range(300000) r(i)")
			o := enginetest.StartOwner(t, path, enginetest.OwnerOptions{CheckpointThreshold: "1MB", Pause: 5 * time.Millisecond})
			o.WaitCommits(t, 20)
			for range 3 {
				atLeast := o.Committed()
				opts := options(t, path)
				opts.Settle = time.Second
				res, err := hotcopy.Copy(context.Background(), opts)
				require.NoError(t, err)
				assert.Equal(t, a, res.BlockBytes)
				copied := filepath.Join(opts.Dir, "copy.duckdb")
				enginetest.CheckPrefix(t, copied, atLeast)
				assert.Equal(t, "300000 true", enginetest.Query(t, copied, "SELECT count(*) || ' ' || bool_and(s = md5(i::VARCHAR)) FROM t"))
			}
			o.Stop(t)
		})
	}
}
