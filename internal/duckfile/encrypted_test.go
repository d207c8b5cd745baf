package duckfile

import (
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"strings"
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
			m, ok := w.MarkerAtTail()
			require.True(t, ok)
			assert.NotEqual(t, h.Current().MetaBlock, m.MetaBlock)
			assert.Equal(t, int64(len(f.wal)), m.End)
			assert.Equal(t, []Range{{0, m.Start}}, w.Keep())
		})
	}
}
