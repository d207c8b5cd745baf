package hostile

import (
	"bytes"
	"encoding/binary"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"canvasback/internal/duckfile"
	"canvasback/internal/failure"
	"canvasback/internal/repo"
)

var le = binary.LittleEndian

// files are a database and its WAL, to be changed before they are written.
type files struct {
	t       *testing.T
	db, wal []byte
	head    *duckfile.Headers // before the change
	dbSize  int64             // of a sparse file; 0: that of db
	walSize int64
}

// seal makes the checksum of a header or block right.
func seal(b []byte) { le.PutUint64(b, duckfile.Checksum(b[8:])) }

func (f *files) main() []byte { return f.db[:duckfile.HeaderSize] }
func (f *files) slot(i int) []byte {
	return f.db[(1+i)*duckfile.HeaderSize : (2+i)*duckfile.HeaderSize]
}

// now and before are the database headers that is current and the other.
func (f *files) now() []byte {
	if f.head.Current() == &f.head.Slots[0] {
		return f.slot(0)
	}
	return f.slot(1)
}

// set writes a number into the current database header and makes it right.
func (f *files) set(off int, v uint64) {
	le.PutUint64(f.now()[off:], v)
	seal(f.now())
}

// version sets that of the main header.
func (f *files) version(v uint64) {
	le.PutUint64(f.main()[12:], v)
	seal(f.main())
}

// sub is the metadata sub-block that p points to, and block the whole of its
// block.
func (f *files) sub(p duckfile.Pointer) (sub, block []byte) {
	a := f.head.Current().BlockAllocSize
	id, index := int64(uint64(p)&(1<<56-1)), int64(uint64(p)>>56)
	off := duckfile.BlockOffset(id, a)
	block = f.db[off : off+a]
	size := f.head.SubBlockSize()
	return block[8+index*size : 8+(index+1)*size], block
}

// chain writes words at the begin of what p points to, the first of which is
// the pointer to the next sub-block.
func (f *files) chain(p duckfile.Pointer, words ...uint64) {
	sub, block := f.sub(p)
	for i, w := range words {
		le.PutUint64(sub[8*i:], w)
	}
	seal(block)
}

func (f *files) free() *duckfile.FreeList {
	l, err := duckfile.ReadFreeList(bytes.NewReader(f.db), f.head)
	require.NoError(f.t, err)
	require.NotEmpty(f.t, l.Free)
	return l
}

// data is a block of a table.
func (f *files) data() int64 {
	l := f.free()
	for id := range f.head.Current().BlockCount {
		isMeta := slices.ContainsFunc(l.Meta, func(m duckfile.MetaBlock) bool { return m.ID == id })
		if !l.IsFree(id) && !isMeta {
			return id
		}
	}
	require.Fail(f.t, "no block holds data")
	return 0
}

// header is the size of the WAL's.
func (f *files) header() int {
	w, err := duckfile.ScanWAL(bytes.NewReader(f.wal), int64(len(f.wal)), f.head)
	require.NoError(f.t, err)
	return int(w.Header.Size)
}

// frame puts a frame that says that it has so many bytes behind the WAL.
func (f *files) frame(length uint64, more ...byte) {
	f.wal = le.AppendUint64(f.wal, length)
	f.wal = le.AppendUint64(f.wal, 0x1234567890abcdef)
	f.wal = append(f.wal, more...)
}

const end = math.MaxUint64

// crafted are the files. Those without a kind are backed up in the state, with
// so many commits.
var crafted = []struct {
	name    string
	change  func(f *files)
	more    string // of the configuration
	kind    *failure.Kind
	text    string
	state   repo.State
	commits int64
}{
	// Headers.
	{name: "empty", change: func(f *files) { f.db = nil }, kind: failure.NotDuckDB},
	{name: "headers and nothing else", change: func(f *files) { f.db = f.db[:duckfile.BlocksStart] }, kind: failure.Truncated},
	{name: "ends inside its headers", change: func(f *files) { f.db = f.db[:duckfile.BlocksStart-1] }, kind: failure.Truncated},
	{name: "ends inside a block", change: func(f *files) { f.db = f.db[:len(f.db)-100000] }, kind: failure.Truncated},
	{name: "both database headers wrong", change: func(f *files) { f.slot(0)[20] ^= 1; f.slot(1)[20] ^= 1 }, kind: failure.Corrupt},
	{name: "main header wrong", change: func(f *files) { f.main()[60] ^= 1 }, kind: failure.Corrupt},
	{name: "version of the future", change: func(f *files) { f.version(70) }, kind: failure.NewerStorage},
	{name: "version without end", change: func(f *files) { f.version(end) }, kind: failure.NewerStorage},
	{name: "version in a header that has none", change: func(f *files) { f.version(999); f.set(56, 0) }, kind: failure.NewerStorage},
	{name: "block size 1", change: func(f *files) { f.set(40, 1) }, kind: failure.Corrupt},
	{name: "block size 2^63", change: func(f *files) { f.set(40, 1<<63) }, kind: failure.Corrupt},
	{name: "block size of another file", change: func(f *files) { f.set(40, 16<<10) }, kind: failure.Corrupt},
	{name: "block count 2^62", change: func(f *files) { f.set(32, 1<<62) }, kind: failure.Corrupt},
	{name: "block count that a file could have", change: func(f *files) { f.set(32, 1<<40) }, kind: failure.Truncated},
	{name: "vector size 1", change: func(f *files) { f.set(48, 1) }, kind: failure.NewerStorage},
	{name: "last iteration there can be", change: func(f *files) { f.wal = nil; f.set(8, end) }, state: repo.StateVerified},
	{name: "catalog out of the file", change: func(f *files) { f.set(16, 1<<50) }, kind: failure.BackupBad},
	{name: "catalog in a block that holds data", change: func(f *files) { f.set(16, uint64(f.data())) }, kind: failure.BackupBad},
	{name: "catalog in a free block", change: func(f *files) { f.set(16, uint64(f.free().Free[0])) }, kind: failure.Corrupt},

	// What the headers point to.
	{name: "catalog that runs in a circle", change: func(f *files) {
		meta := f.head.Current().MetaBlock
		f.chain(meta, uint64(meta))
	}, kind: failure.BackupBad},
	{name: "free list out of the file", change: func(f *files) { f.set(24, 1<<50) }, kind: failure.Corrupt},
	{name: "free list of 2^63 blocks", change: func(f *files) { f.chain(f.head.Current().FreeList, end, 1<<63) }, kind: failure.Corrupt},
	{name: "free list of as many blocks as there are", change: func(f *files) {
		f.chain(f.head.Current().FreeList, end, uint64(f.head.Current().BlockCount))
	}, kind: failure.Corrupt},
	{name: "free list that runs in a circle", change: func(f *files) {
		f.set(32, 1<<20)
		list := f.head.Current().FreeList
		f.chain(list, uint64(list), 1<<19)
	}, kind: failure.Corrupt},
	{name: "free list with blocks out of the file", change: func(f *files) {
		f.chain(f.head.Current().FreeList, end, 1, 1<<40)
	}, kind: failure.Corrupt},
	{name: "free list that frees what is used", change: func(f *files) {
		words := []uint64{end, uint64(f.head.Current().BlockCount)}
		for id := range words[1] {
			words = append(words, id)
		}
		f.chain(f.head.Current().FreeList, append(words, 0, 0)...)
	}, kind: failure.Corrupt},
	{name: "free list that frees the tables", change: func(f *files) {
		now, words := f.head.Current(), []uint64{end, 0}
		for id := range now.BlockCount {
			if id != now.FreeList.Block() && id != now.MetaBlock.Block() {
				words, words[1] = append(words, uint64(id)), words[1]+1
			}
		}
		f.chain(now.FreeList, append(words, 0, 0)...)
	}, kind: failure.BackupBad},
	{name: "8 TiB of holes", change: func(f *files) { f.dbSize = 1 << 43; f.set(32, 1<<25-1) }, kind: failure.RepoFull},
	{name: "1 TiB behind its end", change: func(f *files) { f.dbSize = 1 << 40 }, state: repo.StateVerified, commits: 1},

	// The WAL.
	{name: "WAL of zeros", change: func(f *files) { f.wal = make([]byte, 100000) }, kind: failure.Corrupt},
	{name: "WAL of text", change: func(f *files) { f.wal = bytes.Repeat([]byte("no duck "), 10000) }, kind: failure.Corrupt},
	{name: "WAL of a future version", change: func(f *files) { f.wal[5] = 99 }, kind: failure.NewerStorage},
	{name: "WAL of another iteration", change: func(f *files) { f.set(8, 1<<40) }, kind: failure.Corrupt},
	{name: "WAL frame of 2^64-1 bytes", change: func(f *files) { f.frame(end) }, state: repo.StateVerified, commits: 1},
	{name: "WAL frame of 2^63 bytes", change: func(f *files) { f.frame(1 << 63) }, state: repo.StateVerified, commits: 1},
	{name: "WAL frame of no bytes", change: func(f *files) { f.frame(0) }, state: repo.StateVerified, commits: 1},
	{name: "WAL frame of a byte more than there are", change: func(f *files) { f.frame(9, 1, 2, 3, 4, 5, 6, 7, 8) }, state: repo.StateVerified, commits: 1},
	{name: "WAL that ends in the head of a frame", change: func(f *files) { f.wal = append(f.wal, 1, 2, 3) }, state: repo.StateVerified, commits: 1},
	{name: "WAL that ends inside its only commit", change: func(f *files) { f.wal = f.wal[:len(f.wal)-1] }, state: repo.StateVerified},
	{name: "WAL whose first frame was changed", change: func(f *files) { f.wal[f.header()+20] ^= 1 }, state: repo.StateVerified},
	{name: "WAL frame of 512 GiB of holes", change: func(f *files) { f.frame(1 << 39); f.walSize = 1 << 40 }, state: repo.StateVerified, commits: 1},
	{name: "WAL with 1 TiB behind its commits", change: func(f *files) { f.walSize = 1 << 40 }, state: repo.StateVerified, commits: 1},
	{name: "WAL of a million checkpoint markers", change: func(f *files) {
		marker := []byte{0x64, 0, 0x63, 0x65, 0, 0x64, 0, 7, 0xff, 0xff, 0xff, 0xff}
		for range 1 << 20 {
			f.wal = le.AppendUint64(f.wal, uint64(len(marker)))
			f.wal = append(le.AppendUint64(f.wal, duckfile.Checksum(marker)), marker...)
		}
	}, kind: failure.Corrupt},

	// Encryption.
	{name: "says that it is encrypted", change: func(f *files) { encrypt(f); f.wal = nil }, state: repo.StateStructure},
	{name: "says that it is encrypted and its WAL does not", change: encrypt, kind: failure.Corrupt},
	{name: "encrypted by a cipher that there is not", change: func(f *files) { encrypt(f); f.main()[118] = 9; seal(f.main()) }, kind: failure.NewerStorage},
	{name: "encrypted with another key", change: func(f *files) {
		encrypt(f)
	}, more: "    key_file: KEY\n", kind: failure.WrongKey},
}

// encrypt makes the main header say that what follows is encrypted.
func encrypt(f *files) {
	m := f.main()
	le.PutUint64(m[20:], 1)
	copy(m[116:], []byte{1, 0, 1, 1, 32, 0, 0, 0, 9, 8, 7, 6, 5, 4, 3, 2, 1})
	seal(m)
}

// TestCraftedFiles takes a backup of each. Whatever comes of it, the older
// backup and everything outside the repository are as they were.
func TestCraftedFiles(t *testing.T) {
	template := template(t)
	for _, c := range crafted {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := template.copy(t)
			w.craft(c.change)
			good := snapshot(t, w.repo+"/shop/"+w.good, "")
			require.NotEmpty(t, good)
			require.NoError(t, os.WriteFile(w.dir+"/key", []byte("another"), 0o600))
			before := snapshot(t, w.dir, w.repo)
			o := w.backup(strings.Replace(c.more, "KEY", w.dir+"/key", 1))
			t.Logf("%+v", o)
			if c.kind != nil {
				w.refused(o, c.kind, c.text)
			} else {
				assert.Empty(t, o.Kind, o.Message)
				assert.Equal(t, c.state, o.State)
				assert.Equal(t, c.commits, o.Commits)
			}
			after := snapshot(t, w.dir, w.repo)
			delete(before, w.dir+"/canvasback.yaml")
			delete(after, w.dir+"/canvasback.yaml")
			assert.Equal(t, before, after, "outside the repository")
			assert.Equal(t, good, snapshot(t, w.repo+"/shop/"+w.good, ""), "the older backup")
		})
	}
}

// craft changes the live database and its WAL.
func (w *world) craft(change func(*files)) {
	w.t.Helper()
	f := &files{t: w.t}
	var err error
	f.db, err = os.ReadFile(w.database)
	require.NoError(w.t, err)
	f.wal, err = os.ReadFile(w.database + duckfile.WALSuffix)
	require.NoError(w.t, err)
	f.head, err = duckfile.ReadHeaders(bytes.NewReader(f.db), nil)
	require.NoError(w.t, err)
	change(f)
	require.NoError(w.t, os.WriteFile(w.database, f.db, 0o600))
	if f.dbSize > 0 {
		require.NoError(w.t, os.Truncate(w.database, f.dbSize))
	}
	wal := w.database + duckfile.WALSuffix
	if f.wal == nil {
		require.NoError(w.t, os.Remove(wal))
		return
	}
	require.NoError(w.t, os.WriteFile(wal, f.wal, 0o600))
	if f.walSize > 0 {
		require.NoError(w.t, os.Truncate(wal, f.walSize))
	}
}
