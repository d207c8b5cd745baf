package hotcopy

import (
	"bytes"
	"encoding/binary"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"canvasback/internal/duckfile"
	"canvasback/internal/vfs/vfstest"
)

// cloning is a database with commits in its WAL on a file system that clones,
// and what happens to it around its first clone.
func cloning(t *testing.T, before *state, then func(w *writer)) (*vfstest.Mem, Options) {
	mem := vfstest.NewMem()
	mem.SetClones(true)
	require.NoError(t, mem.MkdirAll("/live", 0o700))
	require.NoError(t, mem.MkdirAll("/copy", 0o700))
	w := &writer{t: t, mem: mem}
	w.put(livePath, 0, before.db)
	w.put(livePath+".wal", 0, before.wal)
	opts := held(mem, nil)
	opts.FS = vfstest.Intercept(mem, func(op vfstest.Op) error {
		if op.Kind == vfstest.OpClone && then != nil {
			then(w)
			then = nil
		}
		return nil
	})
	return mem, opts
}

func TestCloneOfADatabaseThatMovedBefore(t *testing.T) {
	before, after := checkpointed(t)
	mem, opts := cloning(t, before, func(w *writer) {
		w.plan(before, after, true, false)
		w.step(len(w.steps))
	})
	res, err := Copy(t.Context(), opts)
	require.NoError(t, err)
	assert.True(t, res.Cloned)
	assert.Equal(t, 2, res.Attempts, "the WAL of the one and the file of the other header are no pair")
	assert.True(t, after.is(readAll(t, mem, "/copy/x.duckdb"), readAll(t, mem, "/copy/x.duckdb.wal")))
}

// TestCloneWithATornBlock: should a clone show half a write after all, then the
// block is read again from the live file.
func TestCloneWithATornBlock(t *testing.T) {
	before, _ := checkpointed(t)
	a := before.size()
	var id int64
	for !before.uses(id) || len(before.free.Meta) == 0 || before.free.Meta[0].ID == id {
		id++
	}
	off := duckfile.BlockOffset(id, a)
	half := bytes.Clone(before.block(id))
	clear(half[8:])
	mem, opts := cloning(t, before, func(w *writer) { w.put(livePath, off, half) })
	mends := 0
	opts.clock = stepping{func() {
		mends++
		(&writer{t: t, mem: mem}).put(livePath, off, before.block(id))
	}}
	res, err := Copy(t.Context(), opts)
	require.NoError(t, err)
	assert.True(t, res.Cloned)
	assert.Positive(t, mends)
	assert.True(t, before.is(readAll(t, mem, "/copy/x.duckdb"), readAll(t, mem, "/copy/x.duckdb.wal")))
}

// TestPacedCloneWithATornBlock: within a bandwidth a clone is read when it has been
// accepted. A torn block costs another pass then, which reads.
func TestPacedCloneWithATornBlock(t *testing.T) {
	before, _ := checkpointed(t)
	a := before.size()
	var id int64
	for !before.uses(id) || len(before.free.Meta) == 0 || before.free.Meta[0].ID == id {
		id++
	}
	off := duckfile.BlockOffset(id, a)
	half := bytes.Clone(before.block(id))
	clear(half[8:])
	mem, opts := cloning(t, before, func(w *writer) { w.put(livePath, off, half) })
	opts.Limiter = &counting{}
	opts.clock = stepping{func() { (&writer{t: t, mem: mem}).put(livePath, off, before.block(id)) }}
	res, err := Copy(t.Context(), opts)
	require.NoError(t, err)
	assert.False(t, res.Cloned)
	assert.Equal(t, 2, res.Attempts)
	assert.True(t, before.is(readAll(t, mem, "/copy/x.duckdb"), readAll(t, mem, "/copy/x.duckdb.wal")))
}

func TestCloneThatIsCutToWhatTheHeaderUses(t *testing.T) {
	before, _ := checkpointed(t)
	mem, opts := cloning(t, before, nil)
	end := int64(len(before.db)) + 3*before.size()
	junk := binary.LittleEndian.AppendUint64(nil, 42)
	(&writer{t: t, mem: mem}).put(livePath, end-8, junk)
	opts.Settle = time.Millisecond
	res, err := Copy(t.Context(), opts)
	require.NoError(t, err)
	assert.True(t, res.Cloned)
	assert.LessOrEqual(t, res.Files[0].Bytes, int64(len(before.db)))
	assert.True(t, before.is(readAll(t, mem, "/copy/x.duckdb"), readAll(t, mem, "/copy/x.duckdb.wal")))
}
