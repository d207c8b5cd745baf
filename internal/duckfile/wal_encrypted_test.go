package duckfile

import (
	"bytes"
	"encoding/binary"
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func scanWith(t testing.TB, b []byte, h *Headers) *WAL {
	t.Helper()
	w, err := ScanWAL(bytes.NewReader(b), int64(len(b)), h)
	require.NoError(t, err)
	return w
}

// TestEncryptedWALIsThePlainOne: the same entries, encrypted, are the same to
// all who ask, and what is kept is the same frames.
func TestEncryptedWALIsThePlainOne(t *testing.T) {
	insert, commit, row := entry(26, 1, 2, 3), flush(), entry(29, 7)
	logs := map[string][][]byte{
		"header only":             {},
		"one commit":              {insert, commit},
		"rows in blocks":          {insert, commit, row, commit},
		"an index":                {entry(23, 1), commit},
		"frames without a commit": {insert, commit, row},
		"marker at the end":       {insert, commit, marker(), commit},
		"marker not flushed":      {insert, commit, marker()},
		"marker in the middle":    {insert, commit, marker(), commit, row, commit},
		"marker inside a commit":  {insert, marker(), commit},
		"two markers":             {insert, commit, marker(), commit, insert, commit, marker(), commit},
		"marker alone":            {marker(), commit},
	}
	eachSealer(t, func(t *testing.T, s *sealer) {
		h, blind := s.head(t), s.opaque(t)
		for name, frames := range logs {
			plainLog := join(append([][]byte{walHeader}, frames...)...)
			sealedLog := s.log(frames...)
			p, e, o := scanBytes(t, plainLog), scanWith(t, sealedLog, h), scanWith(t, sealedLog, blind)
			for _, w := range []*WAL{e, o} {
				require.NoError(t, w.Tail, name)
				assert.Equal(t, int64(len(sealedLog)), w.Scanned, name)
				assert.Equal(t, p.Frames, w.Frames, name)
			}
			assert.Equal(t, p.Entries, e.Entries, name)
			assert.Equal(t, p.Commits, e.Commits, name)
			assert.Equal(t, p.RowGroups, e.RowGroups, name)
			assert.Equal(t, p.NeedsWrite, e.NeedsWrite, name)
			assert.Len(t, e.Markers, len(p.Markers), name)
			pm, pok := p.MarkerAtTail()
			em, eok := e.MarkerAtTail()
			assert.Equal(t, pok, eok, name)
			assert.Equal(t, pm.MetaBlock, em.MetaBlock, name)
			assert.Equal(t, p.Entries[walFlush], o.Commits, name)
			assert.Equal(t, e.End, o.End, name)
			if p.Commits > 0 {
				plain := scanBytes(t, kept(p, plainLog))
				sealed := scanWith(t, kept(e, sealedLog), h)
				require.NoError(t, sealed.Tail, name)
				assert.Equal(t, plain.Entries, sealed.Entries, name)
				assert.Empty(t, sealed.Markers, name)
			}
		}
	})
}

func TestEncryptedWALTruncated(t *testing.T) {
	eachSealer(t, func(t *testing.T, s *sealer) {
		h, blind := s.head(t), s.opaque(t)
		log := append([]byte{}, sealedWALHeader...)
		var ends []int
		for i := range 4 {
			log = join(log, s.frame(entry(26, byte(i), 9, 9)), s.frame(entry(29, byte(i))), s.frame(flush()))
			ends = append(ends, len(log))
		}
		for n := range len(log) + 1 {
			commits, end := 0, int64(0)
			if n >= len(sealedWALHeader) {
				end = int64(len(sealedWALHeader))
			}
			for _, e := range ends {
				if n >= e {
					commits, end = commits+1, int64(e)
				}
			}
			for _, h := range []*Headers{h, blind} {
				w := scanWith(t, log[:n], h)
				require.Equal(t, int64(commits), w.Commits, "cut at %d", n)
				require.Equal(t, end, w.End, "cut at %d", n)
				require.Equal(t, w.Scanned < int64(n), w.Tail != nil, "cut at %d", n)
			}
		}
	})
}

// TestEncryptedWALFlipped flips each bit of the second commit. With the key all
// is found but for the tag of CTR; without it only lengths are, and never is a
// commit before the flip lost.
func TestEncryptedWALFlipped(t *testing.T) {
	eachSealer(t, func(t *testing.T, s *sealer) {
		h, blind := s.head(t), s.opaque(t)
		first := s.log(entry(26, 1), flush())
		insert, end := s.frame(entry(26, 2, 2)), s.frame(flush())
		log := join(first, insert, end)
		f := framesOf(h)
		for i := len(first); i < len(log); i++ {
			at, size := i-len(first), len(insert)
			if at >= size {
				at, size = at-size, len(end)
			}
			garbage := s.kind == CipherCTR && at >= size-int(f.tag)
			for bit := range 8 {
				log[i] ^= 1 << bit
				w := scanWith(t, log, h)
				require.Equal(t, garbage, w.Tail == nil, "byte %d bit %d", i, bit)
				require.Equal(t, garbage, w.Commits == 2, "byte %d bit %d", i, bit)
				o := scanWith(t, log, blind)
				require.GreaterOrEqual(t, o.Commits, int64(1), "byte %d bit %d", i, bit)
				require.LessOrEqual(t, o.Commits, int64(3), "byte %d bit %d", i, bit)
				log[i] ^= 1 << bit
			}
		}
	})
}

// TestWALLengthsAtTheirLimits also holds the memory to the input's size.
func TestWALLengthsAtTheirLimits(t *testing.T) {
	heads := []*Headers{nil}
	logs := [][]byte{join(walHeader, entry(26), flush())}
	for _, kind := range []CipherKind{CipherGCM, CipherCTR} {
		for version := range uint8(2) {
			s := newSealer(t, kind, version)
			log := s.log(entry(26), flush())
			heads, logs = append(heads, s.head(t), s.opaque(t)), append(logs, log, log)
		}
	}
	for i, h := range heads {
		for _, rest := range []int{64, 100, 1 << 16} {
			room := uint64(rest) - uint64(framesOfNil(h))
			for _, n := range []uint64{0, 1, 4, room + 1, 1 << 31, 1<<62 - 1, 1<<63 - 1, 1 << 63, 1<<64 - 1, 1<<64 - 16} {
				in := join(logs[i], binary.LittleEndian.AppendUint64(nil, n), make([]byte, rest-8))
				var w *WAL
				spent := allocated(func() { w = scanWith(t, in, h) })
				assert.Equal(t, int64(len(logs[i])), w.End, "head %d: length %d", i, n)
				assert.Error(t, w.Tail, "head %d: length %d", i, n)
				assert.Less(t, spent, uint64(4*len(in)+64<<10), "head %d: length %d", i, n)
			}
		}
	}
}

func framesOfNil(h *Headers) int64 {
	f := framesOf(h)
	if h == nil {
		return 16
	}
	return f.overhead()
}

// allocated is how many bytes do allocates.
func allocated(do func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	do()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

func TestWALOfAnotherKindOfDatabase(t *testing.T) {
	s := newSealer(t, CipherGCM, 1)
	plain, err := ParseHeaders(testFile(1)[:BlocksStart], nil)
	require.NoError(t, err)
	one := join(walHeader, entry(26), flush())
	sealed := s.log(entry(26), flush())
	for _, c := range []struct {
		name string
		log  []byte
		h    *Headers
		want string
	}{
		{"encrypted WAL, plain database", sealed, plain, "corrupt: WAL version, beside this database at byte 5: got 3, want 2"},
		{"plain WAL, encrypted database", one, s.head(t), "corrupt: WAL version, beside this database at byte 5: got 2, want 3"},
		{"plain WAL, opaque database", one, s.opaque(t), "corrupt: WAL version, beside this database at byte 5: got 2, want 3"},
		{"encrypted WAL, no database", sealed, nil, "encrypted: WAL version 3 at byte 5"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := ScanWAL(bytes.NewReader(c.log), int64(len(c.log)), c.h)
			require.EqualError(t, err, c.want)
		})
	}
	w := scanWith(t, one, plain)
	assert.Equal(t, int64(1), w.Commits)
}

// TestEncryptedWALLargeFrame spans several reads, twice.
func TestEncryptedWALLargeFrame(t *testing.T) {
	big := entry(26, bytes.Repeat([]byte{3, 1, 4}, 1<<20)...)
	eachSealer(t, func(t *testing.T, s *sealer) {
		w := scanWith(t, s.log(big, flush(), big, flush(), entry(26), flush()), s.head(t))
		assert.Equal(t, int64(3), w.Commits)
		assert.NoError(t, w.Tail)
	})
}
