package duckfile

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func scanBytes(t testing.TB, b []byte) *WAL {
	w, err := ScanWAL(bytes.NewReader(b), int64(len(b)), nil)
	require.NoError(t, err)
	return w
}

func kept(w *WAL, b []byte) []byte {
	var out []byte
	for _, r := range w.Keep() {
		out = append(out, b[r.Start:r.End]...)
	}
	return out
}

func TestScanWAL(t *testing.T) {
	insert, commit := entry(26, 1, 2, 3), flush()
	one := join(walHeader, insert, commit)
	mark := join(marker(), flush())
	for _, c := range []struct {
		name                   string
		in                     []byte
		commits                int64
		marker, rows, ddl, bad bool
		keep                   []byte
	}{
		{name: "empty", in: nil},
		{name: "header only", in: walHeader},
		{name: "torn header", in: walHeader[:5], bad: true},
		{name: "one commit", in: one, commits: 1, keep: one},
		{name: "two commits", in: join(one, insert, insert, commit), commits: 2, keep: join(one, insert, insert, commit)},
		{name: "frames without a commit", in: join(one, insert, insert), commits: 1, keep: one},
		{name: "torn frame", in: join(one, insert[:20]), commits: 1, bad: true, keep: one},
		{name: "torn frame header", in: join(one, insert[:3]), commits: 1, bad: true, keep: one},
		{name: "zeros behind", in: join(one, make([]byte, 40)), commits: 1, bad: true, keep: one},
		{name: "rows in blocks", in: join(one, entry(29), commit), commits: 2, rows: true, keep: join(one, entry(29), commit)},
		{name: "rows in blocks, not committed", in: join(one, entry(29)), commits: 1, keep: one},
		{name: "an index", in: join(one, entry(23), commit), commits: 2, ddl: true, keep: join(one, entry(23), commit)},
		{name: "marker at the end", in: join(one, mark), commits: 1, marker: true, keep: one},
		{name: "marker not flushed yet", in: join(one, marker()), commits: 1, marker: true, keep: one},
		{name: "marker in the middle", in: join(one, mark, insert, commit), commits: 2, keep: join(one, insert, commit)},
		{name: "two markers", in: join(one, mark, insert, commit, mark), commits: 2, marker: true, keep: join(one, insert, commit)},
		{name: "marker alone", in: join(walHeader, mark), marker: true},
		{name: "marker inside a commit", in: join(one, insert, marker(), commit), commits: 2, keep: join(one, insert, commit)},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := scanBytes(t, c.in)
			assert.Equal(t, c.commits, w.Commits)
			m, ok := w.MarkerAtTail()
			assert.Equal(t, c.marker, ok)
			if ok {
				assert.Equal(t, "29.7", m.MetaBlock.String())
			}
			assert.Equal(t, c.rows, w.RowGroups)
			assert.Equal(t, c.ddl, w.NeedsWrite)
			assert.Equal(t, c.bad, w.Tail != nil, "%v", w.Tail)
			assert.Equal(t, c.keep, kept(w, c.in))
		})
	}
}

func TestScanWALHeaderWithIdentifier(t *testing.T) {
	h := []byte{0x64, 0, 98, 0x65, 0, 2, 0x66, 0, 16}
	want := [16]byte{}
	for i := range want {
		want[i] = byte(i * 17)
		h = binary.AppendUvarint(h, uint64(want[i]))
	}
	h = append(h, 0x67, 0)
	h = binary.AppendUvarint(h, 300)
	h = append(h, 0xff, 0xff)
	w := scanBytes(t, join(h, entry(26), flush()))
	assert.Equal(t, int64(1), w.Commits)
	assert.Equal(t, want, w.Header.Identifier)
	assert.Equal(t, uint64(300), w.Header.Iteration)
	assert.Equal(t, int64(len(h)), w.Header.Size)
}

func TestScanWALRefuses(t *testing.T) {
	long := make([]byte, 32)
	for _, c := range []struct {
		name string
		in   []byte
		is   error
	}{
		{"no WAL", join([]byte("no WAL at all"), long), ErrCorrupt},
		{"an old version", join([]byte{0x64, 0, 98, 0x65, 0, 1, 0xff, 0xff}, long), ErrUnsupported},
		{"an encrypted one", join([]byte{0x64, 0, 98, 0x65, 0, 3, 0xff, 0xff}, long), ErrEncrypted},
		{"an unknown field", join([]byte{0x64, 0, 98, 0x65, 0, 2, 0x68, 0}, long), ErrUnsupported},
		{"an identifier too long", join([]byte{0x64, 0, 98, 0x65, 0, 2, 0x66, 0, 17}, long), ErrCorrupt},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := ScanWAL(bytes.NewReader(c.in), int64(len(c.in)), nil)
			require.ErrorIs(t, err, c.is)
		})
	}
}

// TestScanWALTruncated cuts a log at every byte: the commits before the cut are
// found, nothing behind the last of them is taken.
func TestScanWALTruncated(t *testing.T) {
	var log []byte
	log = append(log, walHeader...)
	var ends []int
	for i := range 5 {
		log = join(log, entry(26, byte(i), 9, 9), entry(29, byte(i)), flush())
		ends = append(ends, len(log))
	}
	for n := range len(log) + 1 {
		w := scanBytes(t, log[:n])
		commits, end := 0, int64(0)
		if n >= len(walHeader) {
			end = int64(len(walHeader))
		}
		for _, e := range ends {
			if n >= e {
				commits, end = commits+1, int64(e)
			}
		}
		require.Equal(t, int64(commits), w.Commits, "cut at %d", n)
		require.Equal(t, end, w.End, "cut at %d", n)
	}
}

// TestScanWALFlipped: a flipped byte never makes a commit of what was none, and
// never loses one that lies before it.
func TestScanWALFlipped(t *testing.T) {
	first := join(walHeader, entry(26, 1), flush())
	log := join(first, entry(26, 2, 2), flush())
	for i := len(first); i < len(log); i++ {
		for bit := range 8 {
			log[i] ^= 1 << bit
			w := scanBytes(t, log)
			require.LessOrEqual(t, w.Commits, int64(2))
			require.GreaterOrEqual(t, w.Commits, int64(1), "byte %d", i)
			require.Error(t, w.Tail, "byte %d bit %d", i, bit)
			log[i] ^= 1 << bit
		}
	}
}

func TestScanWALFrameLengthsAtTheirLimits(t *testing.T) {
	one := join(walHeader, entry(26), flush())
	for _, n := range []uint64{0, 1, 4, 1 << 31, 1<<62 - 1, 1<<63 - 1, 1 << 63, 1<<64 - 1} {
		w := scanBytes(t, join(one, binary.LittleEndian.AppendUint64(nil, n), make([]byte, 64)))
		assert.Equal(t, int64(len(one)), w.End)
		assert.Error(t, w.Tail)
	}
}

// TestScanWALLargeFrame spans several reads, through memory for one of them.
func TestScanWALLargeFrame(t *testing.T) {
	log := join(walHeader, entry(26, bytes.Repeat([]byte{3, 1, 4}, 1<<20)...), flush())
	var w *WAL
	spent := allocated(func() { w = scanBytes(t, log) })
	assert.Equal(t, int64(1), w.Commits)
	assert.NoError(t, w.Tail)
	assert.Less(t, spent, uint64(windowSize+64<<10))
}

// What is kept in memory of a WAL does not grow with it.
func TestWALIsKeptSmall(t *testing.T) {
	markers := join(walHeader, bytes.Repeat(marker(), maxMarkers))
	w, err := ScanWAL(bytes.NewReader(markers), int64(len(markers)), nil)
	require.NoError(t, err)
	require.Len(t, w.Markers, maxMarkers)
	markers = append(markers, marker()...)
	_, err = ScanWAL(bytes.NewReader(markers), int64(len(markers)), nil)
	require.ErrorIs(t, err, ErrCorrupt)
	assert.ErrorContains(t, err, "number of CHECKPOINT entries")

	kinds := join(walHeader, entry(26), flush(), walFrame(0x64, 0, 0x80, 0x02, 0xff, 0xff), flush())
	w, err = ScanWAL(bytes.NewReader(kinds), int64(len(kinds)), nil)
	require.NoError(t, err)
	assert.Equal(t, int64(1), w.Commits)
	assert.ErrorContains(t, w.Tail, "WAL entry type")
}

// A frame of an encrypted WAL is read whole, so that its size is bounded by more
// than the file's.
func TestSealedFrameIsBounded(t *testing.T) {
	s := newSealer(t, CipherGCM, 1)
	log := s.log(entry(26, 1), flush())
	size := int64(len(log)) + 1<<41
	log = binary.LittleEndian.AppendUint64(log, 1<<30)
	_, err := ScanWAL(sparse(log), size, s.head(t))
	require.ErrorIs(t, err, ErrUnsupported)
	assert.ErrorContains(t, err, "size of an encrypted WAL entry")
}

// sparse is a file that goes on with zeros for ever.
type sparse []byte

func (s sparse) ReadAt(p []byte, off int64) (int, error) {
	clear(p)
	if off < int64(len(s)) {
		copy(p, s[off:])
	}
	return len(p), nil
}

// A frame that a file with holes has room for is not read.
func TestFrameIsBounded(t *testing.T) {
	log := join(walHeader, entry(26, 1), flush())
	whole := int64(len(log))
	log = binary.LittleEndian.AppendUint64(log, 1<<40)
	w, err := ScanWAL(sparse(log), 1<<41, nil)
	require.NoError(t, err)
	assert.Equal(t, int64(1), w.Commits)
	assert.Equal(t, whole, w.End)
	require.ErrorIs(t, w.Tail, ErrCorrupt)
	assert.ErrorContains(t, w.Tail, "size of a WAL entry")
}
