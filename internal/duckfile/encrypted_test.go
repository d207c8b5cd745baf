package duckfile

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const fixtureKey = "secretkey"

// fixture is an encrypted database of testdata with its WAL.
type fixture struct {
	name    string
	version uint8
	cipher  CipherKind
	db, wal []byte
}

// fixtures reads all of them: each cipher in each encryption version.
func fixtures(t testing.TB) []fixture {
	t.Helper()
	names, err := filepath.Glob("testdata/*.duckdb.gz")
	require.NoError(t, err)
	require.Len(t, names, 4)
	var all []fixture
	for _, name := range names {
		base := strings.TrimSuffix(name, ".duckdb.gz")
		f := fixture{name: filepath.Base(base), db: gunzip(t, name), wal: gunzip(t, base+".duckdb.wal.gz"), cipher: CipherGCM}
		if strings.HasSuffix(base, "ctr") {
			f.cipher = CipherCTR
		}
		if strings.HasPrefix(f.name, "v1") {
			f.version = 1
		}
		all = append(all, f)
	}
	return all
}

func gunzip(t testing.TB, name string) []byte {
	t.Helper()
	f, err := os.Open(name)
	require.NoError(t, err)
	defer f.Close()
	z, err := gzip.NewReader(f)
	require.NoError(t, err)
	b, err := io.ReadAll(z)
	require.NoError(t, err)
	return b
}

func (f *fixture) headers(t testing.TB) *Headers {
	t.Helper()
	h, err := ParseHeaders(f.db[:BlocksStart], NewKey(fixtureKey))
	require.NoError(t, err)
	return h
}

func TestEncryptedFiles(t *testing.T) {
	for _, f := range fixtures(t) {
		t.Run(f.name, func(t *testing.T) {
			h := f.headers(t)
			assert.Equal(t, f.cipher, h.Main.Encryption.Cipher)
			assert.Equal(t, f.version, h.Main.Encryption.Version)
			assert.Equal(t, uint64(67+f.version), h.StorageVersion())
			assert.False(t, h.Opaque)
			assert.Equal(t, int64(MinBlockSize), h.Current().BlockAllocSize)
			assert.Equal(t, uint64(1), h.Current().Iteration)
			assert.Equal(t, int64(40), h.BlockHeaderSize())
			assert.Equal(t, int64(248), h.SubBlockSize())

			l, err := ReadFreeList(bytes.NewReader(f.db), h)
			require.NoError(t, err)
			require.NotEmpty(t, l.Meta)
			assert.NotEmpty(t, l.Chain)

			used, err := CheckFile(bytes.NewReader(f.db), int64(len(f.db)), NewKey(fixtureKey), nil)
			require.NoError(t, err)
			assert.Equal(t, h.Current().BlockCount-int64(len(l.Free)), used)

			w, err := ScanWAL(bytes.NewReader(f.wal), int64(len(f.wal)), h)
			require.NoError(t, err)
			require.NoError(t, w.Tail)
			assert.Equal(t, int64(2), w.Commits)
			assert.Equal(t, uint64(WALEncrypted), w.Header.Version)
			assert.Equal(t, h.Main.Identifier, w.Header.Identifier)
			assert.Equal(t, h.Current().Iteration, w.Header.Iteration)
			assert.Equal(t, f.wal[:w.Header.Size], renderedWALHeader(&w.Header))
			m, ok := w.MarkerAtTail()
			require.True(t, ok)
			assert.NotEqual(t, h.Current().MetaBlock, m.MetaBlock)
			assert.Equal(t, int64(len(f.wal)), m.End)
			assert.Equal(t, []Range{{0, m.Start}}, w.Keep())
		})
	}
}

func TestEncryptedFileNeedsItsKey(t *testing.T) {
	for _, f := range fixtures(t) {
		t.Run(f.name, func(t *testing.T) {
			head := f.db[:BlocksStart]
			_, err := ParseHeaders(head, nil)
			require.ErrorIs(t, err, ErrEncrypted)
			for _, wrong := range []string{"", "secretke", "Secretkey", "c2VjcmV0a2V5AA=="} {
				_, err = ParseHeaders(head, NewKey(wrong))
				require.ErrorIs(t, err, ErrWrongKey, wrong)
			}
			_, err = ParseHeaders(head, NewKey("c2VjcmV0a2V5"))
			require.NoError(t, err, "the same key in base64")
			_, err = CheckFile(bytes.NewReader(f.db), int64(len(f.db)), nil, nil)
			require.ErrorIs(t, err, ErrEncrypted)
			_, err = ScanWAL(bytes.NewReader(f.wal), int64(len(f.wal)), nil)
			require.ErrorIs(t, err, ErrEncrypted)
		})
	}
	plain := testFile(2)
	h, err := ParseHeaders(plain[:BlocksStart], NewKey(fixtureKey))
	require.NoError(t, err, "a plain file ignores the key")
	assert.Nil(t, h.Cipher)
}

func TestOpaqueFiles(t *testing.T) {
	for _, f := range fixtures(t) {
		t.Run(f.name, func(t *testing.T) {
			h, err := ReadOpaque(bytes.NewReader(f.db))
			require.NoError(t, err)
			known := f.headers(t)
			assert.True(t, h.Opaque)
			assert.Equal(t, known.Main, h.Main)
			assert.Equal(t, known.Raw, h.Raw)
			assert.Equal(t, known.StorageVersion(), h.StorageVersion())
			assert.Zero(t, h.Slots)
			assert.Nil(t, h.Cipher)
			assert.Zero(t, h.SubBlockSize())
			assert.Equal(t, int64(40), h.BlockHeaderSize())
			_, err = ReadFreeList(bytes.NewReader(f.db), h)
			require.ErrorIs(t, err, ErrEncrypted)

			w, err := ScanWAL(bytes.NewReader(f.wal), int64(len(f.wal)), h)
			require.NoError(t, err)
			require.NoError(t, w.Tail)
			seen, err := ScanWAL(bytes.NewReader(f.wal), int64(len(f.wal)), known)
			require.NoError(t, err)
			assert.True(t, w.Opaque)
			assert.True(t, w.RowGroups)
			assert.True(t, w.NeedsWrite)
			assert.Empty(t, w.Markers)
			assert.Equal(t, seen.Commits+1, w.Commits, "the marker's FLUSH looks like any")
			assert.Equal(t, seen.Frames, w.Frames)
			assert.Equal(t, seen.End, w.End)
			assert.Equal(t, seen.Header, w.Header)
			assert.Equal(t, map[uint64]int64{walFlush: w.Commits}, w.Entries)
		})
	}
	h, err := ParseOpaque(testFile(2)[:BlocksStart])
	require.NoError(t, err)
	assert.False(t, h.Opaque, "a plain file has nothing to hide")
	assert.Equal(t, uint64(4), h.Current().Iteration)
}

// TestEncryptedBlocks: Payload and CheckBlock agree, and a flip anywhere in a
// block is found, but for the bytes that mean nothing.
func TestEncryptedBlocks(t *testing.T) {
	for _, f := range fixtures(t) {
		t.Run(f.name, func(t *testing.T) {
			h := f.headers(t)
			block := f.db[BlocksStart : BlocksStart+MinBlockSize]
			whole, err := h.Payload(nil, block)
			require.NoError(t, err)
			require.Len(t, whole, MinBlockSize-40)
			again, err := h.Payload(whole, block)
			require.NoError(t, err)
			assert.Same(t, &whole[0], &again[0], "the memory is used again")
			require.True(t, h.CheckBlock(block))
			free := h.Main.Encryption.ignored()
			for i := range 1200 {
				if i > 60 && i%31 != 0 {
					continue
				}
				block[i] ^= 0x20
				bad := i < free.Start || i >= free.End
				require.Equal(t, !bad, h.CheckBlock(block), "byte %d", i)
				_, err := h.Payload(nil, block)
				if bad {
					require.ErrorIs(t, err, ErrCorrupt, "byte %d", i)
				} else {
					require.NoError(t, err, "byte %d", i)
				}
				block[i] ^= 0x20
			}
			for n := range 45 {
				require.False(t, h.CheckBlock(block[:n]))
				_, err := h.Payload(nil, block[:n])
				requireFormatError(t, err, n)
			}
		})
	}
}

// ignored are the bytes before a ciphertext that no check covers.
func (e *Encryption) ignored() struct{ Start, End int } {
	r := struct{ Start, End int }{16, 32}
	if e.Version == 1 {
		r.Start = 12
	}
	if e.Cipher == CipherGCM {
		r.Start += 16
	}
	return r
}

// TestCipherIsSharedByGoroutines is for the race detector.
func TestCipherIsSharedByGoroutines(t *testing.T) {
	for _, f := range fixtures(t) {
		h := f.headers(t)
		block := f.db[BlocksStart : BlocksStart+MinBlockSize]
		want, err := h.Payload(nil, block)
		require.NoError(t, err)
		var g sync.WaitGroup
		for range 4 {
			g.Go(func() {
				for range 20 {
					got, err := h.Payload(nil, block)
					if assert.NoError(t, err) {
						assert.True(t, bytes.Equal(want, got))
					}
					assert.True(t, h.CheckBlock(block))
				}
			})
		}
		g.Wait()
	}
}

func TestBuiltEncryptedFiles(t *testing.T) {
	eachSealer(t, func(t *testing.T, s *sealer) {
		var free []int64
		for id := int64(40); id < 120; id += 2 {
			free = append(free, id)
		}
		f := s.file(120, free...)
		key := NewKey(fixtureKey)
		n, err := CheckFile(bytes.NewReader(f), int64(len(f)), key, nil)
		require.NoError(t, err)
		assert.Equal(t, int64(120-len(free)), n)
		h, err := ParseHeaders(f[:BlocksStart], key)
		require.NoError(t, err)
		l, err := ReadFreeList(bytes.NewReader(f), h)
		require.NoError(t, err)
		assert.Equal(t, free, l.Free)
		assert.Equal(t, []SharedBlock{{ID: 119, Uses: 2}}, l.Shared)
		assert.Equal(t, []MetaBlock{{ID: 0, FreeMask: 0xff}}, l.Meta)
		ignored := h.Main.Encryption.ignored()
		for off := BlocksStart; off < len(f); off += 40009 {
			f[off] ^= 4
			id, at := int64(off-BlocksStart)/MinBlockSize, (off-BlocksStart)%MinBlockSize
			_, err := CheckFile(bytes.NewReader(f), int64(len(f)), key, nil)
			if l.IsFree(id) || at >= ignored.Start && at < ignored.End {
				require.NoError(t, err)
			} else {
				requireFormatError(t, err, off)
			}
			f[off] ^= 4
		}
	})
}

// TestEncryptedHeadersFlipped: every flip in the three headers is an error,
// but for the bytes that mean nothing.
func TestEncryptedHeadersFlipped(t *testing.T) {
	eachSealer(t, func(t *testing.T, s *sealer) {
		f := s.file(1)[:BlocksStart]
		key := NewKey(fixtureKey)
		h, err := ParseHeaders(f, key)
		require.NoError(t, err)
		free := h.Main.Encryption.ignored()
		for i := range f {
			if i%HeaderSize > 200 && i%53 != 0 {
				continue // behind the fields every byte is like the next
			}
			f[i] ^= 0x40
			_, err := ParseHeaders(f, key)
			if at := i % HeaderSize; i >= HeaderSize && at >= free.Start && at < free.End {
				require.NoError(t, err, i)
			} else {
				requireFormatError(t, err, i)
			}
			f[i] ^= 0x40
		}
		for n := 0; n < BlocksStart; n += 1 + n/100 {
			_, err := ParseHeaders(f[:n], key)
			requireFormatError(t, err, n)
			_, err = ParseOpaque(f[:n])
			requireFormatError(t, err, n)
		}
	})
}

// TestEncryptionFieldsAtTheirLimits: what DuckDB does not write is not guessed.
func TestEncryptionFieldsAtTheirLimits(t *testing.T) {
	eachSealer(t, func(t *testing.T, s *sealer) {
		for _, c := range []struct {
			off  int
			good byte
		}{{116, 1}, {118, byte(s.kind)}, {119, s.version}, {120, 32}, {123, 0}} {
			for _, v := range []byte{0, 1, 2, 3, 31, 32, 33, 255} {
				f := s.file(1)[:BlocksStart]
				f[c.off] = v
				seal(f[:HeaderSize])
				_, err := ParseHeaders(f, NewKey(fixtureKey))
				_, errOpaque := ParseOpaque(f)
				known := v == c.good || c.off == 118 && (v == 1 || v == 2) || c.off == 119 && v < 2
				require.Equal(t, v == c.good, err == nil, "byte %d = %d", c.off, v)
				require.Equal(t, known, errOpaque == nil, "byte %d = %d", c.off, v)
				for _, err := range []error{err, errOpaque} {
					if err != nil {
						requireFormatError(t, err)
						require.NotErrorIs(t, err, ErrEncrypted)
					}
				}
			}
		}
	})
}

func TestEncryptedHeaderFieldsAtTheirLimits(t *testing.T) {
	eachSealer(t, func(t *testing.T, s *sealer) {
		f := s.file(3, 2)
		for off := 8; off < 64; off += 8 {
			for _, v := range []uint64{0, 1, 1 << 14, 1<<18 + 1, 1 << 31, 1<<62 - 1, 1 << 62, 1<<63 - 1, 1 << 63, 1<<64 - 1} {
				s.putSlot(f[HeaderSize:2*HeaderSize], 4, off, v)
				checkAny(t, f, NewKey(fixtureKey), fmt.Sprintf("field at %d = %d", off, v))
			}
		}
	})
}

// TestEncryptedFieldErrorsSayWhere: the checksum of an encrypted slot lies 32
// bytes behind its start.
func TestEncryptedFieldErrorsSayWhere(t *testing.T) {
	s := newSealer(t, CipherGCM, 1)
	f := s.file(3, 2)
	s.putSlot(f[HeaderSize:2*HeaderSize], 4, 48, 1024)
	_, err := ParseHeaders(f, NewKey(fixtureKey))
	require.EqualError(t, err, "unsupported: vector size at byte 4176: got 1024, want 2048")
}

func BenchmarkCheckBlock(b *testing.B) {
	plain := &Headers{}
	heads, names := []*Headers{plain}, []string{"plain"}
	for _, kind := range []CipherKind{CipherGCM, CipherCTR} {
		heads, names = append(heads, newSealer(b, kind, 1).head(b)), append(names, kind.String())
	}
	for i, h := range heads {
		block := seal(make([]byte, MaxBlockSize))
		if h.Cipher != nil {
			newSealer(b, h.Main.Encryption.Cipher, 1).sealBlock(block, make([]byte, MaxBlockSize-40))
		}
		b.Run(names[i], func(b *testing.B) {
			b.SetBytes(MaxBlockSize)
			for b.Loop() {
				if !h.CheckBlock(block) {
					b.Fatal("the block is good")
				}
			}
		})
	}
}
