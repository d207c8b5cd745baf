package hotcopy_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"canvasback/internal/duckfile"
	"canvasback/internal/engine"
	"canvasback/internal/engine/enginetest"
	"canvasback/internal/hotcopy"
)

// pair is a database and its WAL, as bytes.
type pair struct{ db, wal []byte }

// crashed is what an owner left that made one commit for each statement.
func crashed(t *testing.T, stmts ...string) pair {
	t.Helper()
	path := filepath.Join(t.TempDir(), "live.duckdb")
	enginetest.CreateKilled(t, path, stmts...)
	return read(t, path)
}

func read(t *testing.T, path string) (p pair) {
	t.Helper()
	var err error
	p.db, err = os.ReadFile(path)
	require.NoError(t, err)
	p.wal, err = os.ReadFile(path + ".wal")
	require.NoError(t, err)
	return p
}

// write puts the pair into a directory of its own.
func (p pair) write(t *testing.T) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "live.duckdb")
	require.NoError(t, os.WriteFile(path, p.db, 0o600))
	require.NoError(t, os.WriteFile(path+".wal", p.wal, 0o600))
	return path
}

// opens says whether DuckDB reads all of the pair, of which it gets a copy.
func (p pair) opens(t *testing.T) error {
	t.Helper()
	path := p.write(t)
	_, err := engine.Scan(context.Background(), engine.ScanRequest{
		Path: path, ReadWrite: true, Level: engine.LevelFull, TempDir: filepath.Dir(path), Timeout: time.Minute,
	})
	return err
}

// walFrame is where a frame lies in its WAL; flush: it ends a commit.
type walFrame struct {
	start, end int64
	flush      bool
}

// frames walks a whole WAL with the header of the default storage version.
func frames(t *testing.T, wal []byte) (all []walFrame) {
	t.Helper()
	for at := int64(8); at < int64(len(wal)); {
		end := at + 16 + int64(binary.LittleEndian.Uint64(wal[at:]))
		require.LessOrEqual(t, end, int64(len(wal)))
		all = append(all, walFrame{at, end, end-at == 16+5})
		at = end
	}
	return all
}

// wholeCommits is how many commits end at or before at.
func wholeCommits(all []walFrame, at int64) (n int) {
	for _, f := range all {
		if f.flush && f.end <= at {
			n++
		}
	}
	return n
}

// copiedIDs copies the pair and returns the entries of the ledger in the copy,
// in their order.
func copiedIDs(t *testing.T, p pair) string {
	t.Helper()
	opts := options(t, p.write(t))
	opts.Settle = 20 * time.Millisecond // nobody writes
	_, err := hotcopy.Copy(context.Background(), opts)
	require.NoError(t, err)
	return enginetest.Query(t, filepath.Join(opts.Dir, "copy.duckdb"), "SELECT string_agg(id::VARCHAR, ' ' ORDER BY id) FROM ledger")
}

// ids is "0 1 2 ..." up to and with last.
func ids(last int) string {
	var all []string
	for i := range last + 1 {
		all = append(all, strconv.Itoa(i))
	}
	return strings.Join(all, " ")
}

// ledger makes a table with the entry 0 in the file, and one commit in the WAL
// for each of the next ones.
func ledger(commits int) []string {
	stmts := []string{"CREATE TABLE ledger AS SELECT 0 AS id", "CHECKPOINT"}
	for i := range commits {
		stmts = append(stmts, fmt.Sprintf("INSERT INTO ledger VALUES (%d)", i+1))
	}
	return stmts
}

// TestCopyOfACrashedOwnersTornWAL cuts the WAL at every kind of place. The copy
// opens, and holds the commits that are whole.
func TestCopyOfACrashedOwnersTornWAL(t *testing.T) {
	whole := crashed(t, ledger(3)...)
	all := frames(t, whole.wal)
	require.Equal(t, 3, wholeCommits(all, int64(len(whole.wal))))
	cuts := map[string]int64{
		"nothing is left": 0, "inside the header": 5, "behind the header": 8, "nothing is cut": int64(len(whole.wal)),
	}
	commit := 1
	for _, f := range all {
		if commit == 3 { // the frames of the last commit
			for name, at := range map[string]int64{
				"before": f.start, "inside the length": f.start + 3, "behind the length": f.start + 8, "inside the checksum": f.start + 13,
				"behind the checksum": f.start + 16, "inside the payload": f.start + 16 + (f.end-f.start-16)/2, "one byte short": f.end - 1,
			} {
				cuts[fmt.Sprintf("frame at %d, %s", f.start, name)] = at
			}
		}
		if f.flush {
			commit++
		}
	}
	require.Greater(t, len(cuts), 18)
	for name, at := range cuts {
		assert.Equal(t, ids(wholeCommits(all, at)), copiedIDs(t, pair{whole.db, whole.wal[:at]}), "%s, at byte %d", name, at)
	}
}

// TestCopyOfAWALWithABadTail has bytes behind the commits by which DuckDB
// refuses the pair; to the copy they are no part of a commit.
func TestCopyOfAWALWithABadTail(t *testing.T) {
	whole := crashed(t, ledger(3)...)
	all := frames(t, whole.wal)
	last := all[len(all)-2] // the one before the last FLUSH
	flipped := append([]byte(nil), whole.wal...)
	flipped[last.start+18] ^= 1
	for name, c := range map[string]struct {
		wal  []byte
		want int
	}{
		"zeros":          {append(whole.wal[:len(whole.wal):len(whole.wal)], make([]byte, 4096)...), 3},
		"a flipped byte": {flipped, 2},
	} {
		p := pair{whole.db, c.wal}
		require.Error(t, p.opens(t), name)
		assert.Equal(t, ids(c.want), copiedIDs(t, p), name)
	}
}

// frame makes a WAL frame of a payload.
func frame(payload []byte) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(payload)))
	b = binary.LittleEndian.AppendUint64(b, duckfile.Checksum(payload))
	return append(b, payload...)
}

// TestCopyOfAWALWithAMarkerBetweenItsCommits has what DuckDB up to 1.5.5 leaves
// when a checkpoint fails and the owner goes on: 1.5.6 opens the copy and not
// the original.
func TestCopyOfAWALWithAMarkerBetweenItsCommits(t *testing.T) {
	whole := crashed(t, ledger(4)...)
	marker := append(
		frame([]byte{0x64, 0, 99, 0x65, 0, 0x64, 0, 0x9d, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x07, 0x65, 0, 8, 0xff, 0xff, 0xff, 0xff}),
		frame([]byte{0x64, 0, 100, 0xff, 0xff})...)
	var spliced []byte
	commits, markers := 0, 0
	at := int64(0)
	for _, f := range frames(t, whole.wal) {
		spliced = append(spliced, whole.wal[at:f.end]...)
		at = f.end
		if f.flush {
			if commits++; commits == 1 || commits == 3 {
				spliced = append(spliced, marker...)
				markers++
			}
		}
	}
	require.Equal(t, 2, markers)
	p := pair{whole.db, spliced}
	require.NoError(t, whole.opens(t), "without the markers")
	err := p.opens(t)
	require.Error(t, err)
	require.Contains(t, err.Error(), "marker")
	in, err := hotcopy.Inspect(options(t, "").FS, p.write(t), nil)
	require.NoError(t, err)
	assert.Len(t, in.WAL.Markers, 2)
	assert.Equal(t, duckfile.Resumed.String(), in.State)
	assert.Equal(t, "none", in.Checkpoint)
	assert.Equal(t, ids(4), copiedIDs(t, p))
}

// TestCopyOfAWALLargerThanItsDatabase has no block in the file, and all rows in
// the WAL.
func TestCopyOfAWALLargerThanItsDatabase(t *testing.T) {
	path := filepath.Join(t.TempDir(), "live.duckdb")
	stmts := []string{"SET checkpoint_threshold = '10GB'", "CREATE TABLE t(i BIGINT, s VARCHAR)"}
	for n := range 6 {
		stmts = append(stmts, fmt.Sprintf("INSERT INTO t SELECT i, repeat(md5(i::VARCHAR), 7) FROM range(%d, %d) r(i)", n*80_000, (n+1)*80_000))
	}
	enginetest.CreateKilled(t, path, stmts...)
	db, err := os.Stat(path)
	require.NoError(t, err)
	require.EqualValues(t, duckfile.BlocksStart, db.Size())
	wal, err := os.Stat(path + ".wal")
	require.NoError(t, err)
	require.Greater(t, wal.Size(), int64(100_000_000))

	opts := options(t, path)
	res, err := hotcopy.Copy(context.Background(), opts)
	require.NoError(t, err)
	assert.Equal(t, "A", res.Rule)
	assert.Equal(t, wal.Size(), res.WALBytes)
	assert.EqualValues(t, 7, res.Commits)
	assert.Equal(t, "480000 480000 true", enginetest.Query(t, filepath.Join(opts.Dir, "copy.duckdb"),
		"SELECT count(*) || ' ' || count(DISTINCT i) || ' ' || bool_and(s = repeat(md5(i::VARCHAR), 7)) FROM t"))
}
