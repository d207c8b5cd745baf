package hotcopy

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"canvasback/internal/duckfile"
	"canvasback/internal/engine/enginetest"
	"canvasback/internal/failure"
	"canvasback/internal/vfs"
	"canvasback/internal/vfs/vfstest"
)

// state is a database at rest: its bytes, its WAL's, and what they use.
type state struct {
	db, wal []byte
	head    *duckfile.Headers
	free    *duckfile.FreeList
}

func readState(t *testing.T, path string) *state {
	s := &state{}
	var err error
	s.db, err = os.ReadFile(path)
	require.NoError(t, err)
	s.wal, err = os.ReadFile(path + ".wal")
	if !os.IsNotExist(err) {
		require.NoError(t, err)
	}
	s.head, err = duckfile.ReadHeaders(bytes.NewReader(s.db), nil)
	require.NoError(t, err)
	s.free, err = duckfile.ReadFreeList(bytes.NewReader(s.db), s.head)
	require.NoError(t, err)
	return s
}

func (s *state) size() int64 { return s.head.Current().BlockAllocSize }

func (s *state) uses(id int64) bool {
	return id < s.head.Current().BlockCount && !s.free.IsFree(id)
}

func (s *state) block(id int64) []byte {
	off := duckfile.BlockOffset(id, s.size())
	if off+s.size() > int64(len(s.db)) {
		return nil
	}
	return s.db[off : off+s.size()]
}

// checkpointed returns a database with commits in its WAL, and the same after
// DuckDB itself has checkpointed it.
func checkpointed(t *testing.T) (before, after *state) {
	path := filepath.Join(t.TempDir(), "x.duckdb")
	enginetest.CreateStorage(t, path, "v1.2.0", "SELECT 1")
	require.NoError(t, os.Remove(path))
	enginetest.CreateKilled(t, path,
		"CREATE TABLE a AS SELECT i, md5(i::VARCHAR) AS s FROM range(60000) r(i)",
		"CREATE TABLE b AS SELECT i, md5(i::VARCHAR) AS s FROM range(60000) r(i)", "CHECKPOINT",
		"SET checkpoint_threshold = '1GB'",
		"DROP TABLE a", "UPDATE b SET s = 'changed' WHERE i % 3 = 0")
	before = readState(t, path)
	enginetest.Create(t, path, "CHECKPOINT")
	after = readState(t, path)
	require.NotEmpty(t, before.wal)
	require.Empty(t, after.wal)
	require.Equal(t, before.head.Current().Iteration+1, after.head.Current().Iteration)
	return before, after
}

const livePath = "/live/x.duckdb"

// writer takes the database from one state to the next in the order in which
// DuckDB writes, one system call at a time.
type writer struct {
	t     *testing.T
	mem   *vfstest.Mem
	steps []func()
}

func (w *writer) put(name string, off int64, b []byte) {
	f, err := w.mem.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o600)
	require.NoError(w.t, err)
	_, err = f.WriteAt(b, off)
	require.NoError(w.t, err)
	require.NoError(w.t, f.Close())
}

// torn adds a write that becomes visible in two halves.
func (w *writer) torn(name string, off int64, b []byte) {
	half := int64(len(b) / 2 &^ 7)
	w.steps = append(w.steps,
		func() { w.put(name, off, b[:half]) },
		func() { w.put(name, off+half, b[half:]) })
}

func (w *writer) step(n int) {
	for ; n > 0 && len(w.steps) > 0; n-- {
		w.steps[0]()
		w.steps = w.steps[1:]
	}
}

// plan lays out a checkpoint. early: freed blocks are overwritten by others
// before the header is written, as DuckDB 1.5.0 to 1.5.6 does it. lateMarker:
// the marker follows the data blocks, as up to 1.4.
func (w *writer) plan(before, after *state, early, lateMarker bool) {
	a := after.size()
	marker := func() { w.torn(livePath+".wal", int64(len(before.wal)), markerFor(after.head.Current().MetaBlock)) }
	if !lateMarker {
		marker()
	}
	var inPlace, freed []int64
	for id := range after.head.Current().BlockCount {
		switch {
		case before.uses(id) && !after.uses(id):
			freed = append(freed, id)
		case after.uses(id) && !bytes.Equal(before.block(id), after.block(id)):
			if before.uses(id) {
				inPlace = append(inPlace, id)
				continue
			}
			w.torn(livePath, duckfile.BlockOffset(id, a), after.block(id))
		}
	}
	if lateMarker {
		marker()
	}
	reuse := func() {
		for _, id := range freed {
			b := bytes.Repeat([]byte{byte(id), 0xdb}, int(a/2))
			binary.LittleEndian.PutUint64(b, duckfile.Checksum(b[8:]))
			w.torn(livePath, duckfile.BlockOffset(id, a), b)
		}
	}
	require.NotEmpty(w.t, freed, "the checkpoint must free blocks")
	if early {
		reuse()
	}
	for _, id := range inPlace {
		w.torn(livePath, duckfile.BlockOffset(id, a), after.block(id))
	}
	for i := range 3 {
		off := int64(i * duckfile.HeaderSize)
		if b := after.head.Raw[off : off+duckfile.HeaderSize]; !bytes.Equal(b, before.head.Raw[off:off+duckfile.HeaderSize]) {
			w.torn(livePath, off, b)
		}
	}
	w.steps = append(w.steps, func() { require.NoError(w.t, w.mem.Remove(livePath+".wal")) })
	if !early {
		reuse()
	}
}

func markerFor(p duckfile.Pointer) []byte {
	payload := binary.AppendUvarint([]byte{0x64, 0, 0x63, 0x65, 0, 0x64, 0}, uint64(p))
	payload = append(payload, 0x65, 0, 8, 0xff, 0xff, 0xff, 0xff)
	if p == 0 { // an absent pointer
		payload = []byte{0x64, 0, 0x63, 0x65, 0, 0x65, 0, 8, 0xff, 0xff, 0xff, 0xff}
	}
	return slices.Concat(frame(payload), frame([]byte{0x64, 0, 0x64, 0xff, 0xff}))
}

func frame(payload []byte) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(payload)))
	b = binary.LittleEndian.AppendUint64(b, duckfile.Checksum(payload))
	return append(b, payload...)
}

// is says whether the copy holds exactly the content of s.
func (s *state) is(db, wal []byte) bool {
	if !bytes.Equal(db[:duckfile.BlocksStart], s.head.Raw[:]) || !bytes.Equal(wal, s.wal) {
		return false
	}
	for id := range s.head.Current().BlockCount {
		if !s.uses(id) {
			continue
		}
		off := duckfile.BlockOffset(id, s.size())
		got := db[off : off+s.size()]
		if bytes.Equal(got, s.block(id)) {
			continue
		}
		i := slices.IndexFunc(s.free.Meta, func(m duckfile.MetaBlock) bool { return m.ID == id })
		if i < 0 || !duckfile.CheckBlock(got) || !sameUsedParts(s.head, got, s.block(id), s.free.Meta[i].FreeMask) {
			return false
		}
	}
	return true
}

func readAll(t *testing.T, fsys vfs.FS, name string) []byte {
	f, err := fsys.Open(name)
	if os.IsNotExist(err) {
		return nil
	}
	require.NoError(t, err)
	info, err := f.Stat()
	require.NoError(t, err)
	b := make([]byte, info.Size)
	_, err = f.ReadAt(b, 0)
	require.NoError(t, err)
	require.NoError(t, f.Close())
	return b
}

// TestCopyBetweenAnyTwoSteps runs the copy while a checkpoint goes on: before
// the n-th operation of the copy the writer makes so many steps, and no more
// until somebody waits for it. Whatever is accepted must be the database before
// the checkpoint, or after it.
func TestCopyBetweenAnyTwoSteps(t *testing.T) {
	before, after := checkpointed(t)
	rules := map[string]int{}
	for _, order := range []struct {
		name        string
		early, late bool
		every       int // so many operations of the copy apart
	}{
		{"as up to 1.4", false, true, 151},
		{"as 1.5 should", false, false, 151},
		{"as 1.5.0 to 1.5.6", true, false, 43},
	} {
		w := &writer{t: t}
		w.plan(before, after, order.early, order.late)
		for steps := 1; steps <= len(w.steps); steps++ {
			for n := 1 + steps%order.every; ; n += order.every {
				name := fmt.Sprintf("%s, %d steps before operation %d", order.name, steps, n)
				rule, begun := copyDuring(t, name, before, after, order.early, order.late, steps, n)
				rules[rule]++
				if !begun {
					break
				}
			}
		}
	}
	t.Log(rules)
	assert.Greater(t, rules["A before"], 20)
	assert.Greater(t, rules["C after"], 20)
}

func copyDuring(t *testing.T, name string, before, after *state, early, late bool, steps, n int) (rule string, begun bool) {
	mem := vfstest.NewMem()
	require.NoError(t, mem.MkdirAll("/live", 0o700))
	require.NoError(t, mem.MkdirAll("/copy", 0o700))
	w := &writer{t: t, mem: mem}
	w.put(livePath, 0, before.db)
	w.put(livePath+".wal", 0, before.wal)
	require.NoError(t, mem.SetLockOwner(livePath, 1, true))
	w.plan(before, after, early, late)
	ops := 0
	fsys := vfstest.Intercept(mem, func(vfstest.Op) error {
		if ops++; ops == n {
			begun = true
			w.step(steps)
		}
		return nil
	})
	o := Options{FS: fsys, Path: livePath, Dir: "/copy", Name: "x", Settle: time.Millisecond, Gate: time.Second, MaxAttempts: 20}
	// Whoever waits lets the owner finish what it has begun: assumption A7.
	o.clock = stepping{func() {
		if begun {
			w.step(len(w.steps))
		}
	}}
	res, err := Copy(context.Background(), o)
	require.NoError(t, err, "%s: %v", name, failure.Of(err).Name)
	db, wal := readAll(t, mem, "/copy/x.duckdb"), readAll(t, mem, "/copy/x.duckdb.wal")
	switch {
	case before.is(db, wal):
		return res.Rule + " before", begun
	case after.is(db, wal):
		return res.Rule + " after", begun
	}
	t.Fatalf("%s: accepted by rule %s: neither the state before nor the one after the checkpoint\n%v", name, res.Rule, res.Evidence)
	return "", begun
}

// stepping is the machine's clock with short sleeps, before which the writer
// goes on.
type stepping struct{ before func() }

func (stepping) Now() time.Time { return time.Now() }

func (s stepping) Sleep(ctx context.Context, d time.Duration) error {
	s.before()
	return wall{}.Sleep(ctx, min(d, time.Millisecond))
}
