package doctor

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"canvasback/internal/duckfile"
	"canvasback/internal/engine/enginetest"
	"canvasback/internal/human"
	"canvasback/internal/vfs"
)

func TestDatabaseFile(t *testing.T) {
	c := setUp(t)
	path := c.Config.Databases[0].Path
	is(t, shop(c).file(), OK, path)
	point := func(to string) *subject {
		c.Config.Databases[0].Path = to
		return shop(c)
	}
	dir := filepath.Dir(path)
	is(t, point(filepath.Join(dir, "a", "b", "shop.duckdb")).file(), Fail, "the last part of it that exists is "+dir)
	is(t, point(dir).file(), Fail, "is no regular file")
	link := filepath.Join(dir, "link.duckdb")
	require.NoError(t, os.Symlink(filepath.Join(dir, "gone.duckdb"), link))
	is(t, point(link).file(), Fail, "a symbolic link to a file that is not there")
	is(t, point(link).format(), Skipped, "cannot be read")
	is(t, point(link).wal(), Skipped, "cannot be seen")
}

func TestDatabaseWAL(t *testing.T) {
	path := filepath.Join(t.TempDir(), "shop.duckdb")
	enginetest.CreateKilled(t, path, "CREATE TABLE t(i INT)", "INSERT INTO t VALUES (1)")
	c := setUpFor(t, path)
	is(t, shop(c).wal(), OK, "the WAL can be read")
	require.NoError(t, os.Remove(path+".wal"))
	is(t, shop(c).wal(), OK, "no WAL")
	require.NoError(t, os.Mkdir(path+".wal", 0o700))
	is(t, shop(c).wal(), Fail, path+".wal cannot be read")
}

// kindFS says of every file that it lies on a file system of the kind.
type kindFS struct {
	vfs.FS
	kind vfs.FSKind
}

func (f kindFS) Kind(string) (vfs.FSKind, error) { return f.kind, nil }

func TestDatabaseFileSystem(t *testing.T) {
	c := setUp(t)
	kind, err := c.FS.Kind(c.Config.Databases[0].Path)
	require.NoError(t, err)
	is(t, shop(c).fileSystem(), OK, kind.Name+", a local file system")
	c.FS = kindFS{c.FS, vfs.FSKind{Name: "nfs", Network: true}}
	is(t, shop(c).fileSystem(), Fail, "nfs is a network file system")
	c.Config.Databases[0].Copy.Network = true
	is(t, shop(c).fileSystem(), Warn, "at your risk")
}

func TestKeyAndFormatOfAnEncryptedDatabase(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "shop.duckdb")
	enginetest.CreateEncrypted(t, path, "the key of the shop", "GCM", "CREATE TABLE t(i INT)")
	right, wrong := filepath.Join(dir, "right.key"), filepath.Join(dir, "wrong.key")
	require.NoError(t, os.WriteFile(right, []byte("the key of the shop\n"), 0o600))
	require.NoError(t, os.WriteFile(wrong, []byte("another secret\n"), 0o600))
	c := setUpFor(t, path)
	is(t, shop(c).format(), Warn, "end as structure")
	c.Config.Databases[0].KeyFile = right
	is(t, shop(c).keyFile(), OK, right)
	is(t, shop(c).format(), OK, "the key opens it")
	c.Config.Databases[0].KeyFile = wrong
	f := shop(c).format()
	is(t, f, Fail, "key")
	assert.NotContains(t, f.Found+f.Mend, "another secret")
	require.NoError(t, os.Chmod(right, 0o640))
	c.Config.Databases[0].KeyFile = right
	is(t, shop(c).keyFile(), Fail, "0640")
	c.Config.Databases[0].KeyFile = filepath.Join(dir, "none.key")
	is(t, shop(c).keyFile(), Fail, "none.key")
}

func TestFormat(t *testing.T) {
	c := setUp(t)
	path := c.Config.Databases[0].Path
	is(t, shop(c).format(), OK, "storage version 64")
	key := filepath.Join(t.TempDir(), "key")
	require.NoError(t, os.WriteFile(key, []byte("k"), 0o600))
	c.Config.Databases[0].KeyFile = key
	is(t, shop(c).format(), Warn, "not encrypted, though key_file is set")
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	binary.LittleEndian.PutUint64(data[12:], duckfile.MaxVersion+1)
	binary.LittleEndian.PutUint64(data, duckfile.Checksum(data[8:duckfile.HeaderSize]))
	require.NoError(t, os.WriteFile(path, data, 0o600))
	is(t, shop(c).format(), Fail, "storage version")
	require.NoError(t, os.WriteFile(path, []byte("id,name\n1,one\n2,two, three and four\n"), 0o600))
	is(t, shop(c).format(), Fail, "not a DuckDB database")
}

func TestSize(t *testing.T) {
	for n, want := range map[int64]string{0: "0 B", 1023: "1023 B", 1536: "1.5 KiB", 1 << 30: "1.0 GiB", 1<<63 - 1: "8.0 EiB"} {
		assert.Equal(t, want, human.Bytes(n))
	}
}
