package repo

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"canvasback/internal/failure"
	"canvasback/internal/vfs"
	"canvasback/internal/vfs/vfstest"
)

// FuzzNotes decodes any bytes as each note: what is accepted is written and read
// again as the same.
func FuzzNotes(f *testing.F) {
	until := time.Unix(2, 0).UTC()
	for _, note := range []any{
		pinNote{Schema, &Pin{Owner: "a", Until: &until}}, drillsNote{Schema, []Drill{{Run: "r", Bytes: 1 << 60}}}, checkNote{Schema, &Check{Passed: true}},
	} {
		data, err := encodeStrict("a note", note)
		require.NoError(f, err)
		f.Add(data)
	}
	f.Add([]byte(`{"schema":1,"pin":null}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		for base, again := range map[string]func() any{
			pinName: func() any { return &pinNote{} }, drillsName: func() any { return &drillsNote{} }, checkName: func() any { return &checkNote{} },
		} {
			note := again()
			if err := decodeNote(base, data, note); err != nil {
				require.Less(t, len(err.Error()), 1000+2*len(data))
				continue
			}
			text, err := encodeStrict(base, note)
			require.NoError(t, err)
			same := again()
			require.NoError(t, decodeNote(base, text, same))
			back, err := encodeStrict(base, same)
			require.NoError(t, err)
			require.Equal(t, string(text), string(back))
		}
	})
}

// FuzzLeaseRecord finds any bytes where a run says that it has the database. A
// run gets the database, or an error of a kind, and what it then writes is its own
// claim.
func FuzzLeaseRecord(f *testing.F) {
	f.Add([]byte(`{"run":"r1","until":"2026-01-01T00:00:00Z"}`))
	f.Add([]byte(`{"run":"r2","until":"9999-01-01T00:00:00Z"}`))
	f.Add([]byte(`{}`))
	f.Add([]byte(`{"run":1}`))
	now := time.Unix(1e9, 0)
	f.Fuzz(func(t *testing.T, data []byte) {
		fsys := vfstest.NewMem()
		require.NoError(t, fsys.Mkdir("/backups", 0o700))
		r, err := Open(fsys, "/backups")
		require.NoError(t, err)
		first, err := r.Acquire("shop", "first", now)
		require.NoError(t, err)
		require.NoError(t, first.End())
		require.NoError(t, vfs.WriteAtomic(fsys, filepath.Join("/backups", "shop", recordName), data, filePerm))
		l, err := r.Acquire("shop", "second", now)
		if err != nil {
			kind := failure.Of(err)
			require.True(t, kind == failure.Busy || kind == failure.RepoCorrupt, "%v", err)
			return
		}
		require.NoError(t, l.Close(now.Add(time.Minute)))
		rec, err := l.read()
		require.NoError(t, err)
		require.Equal(t, "second", rec.Run)
	})
}

// FuzzName holds the names that come from outside to what they may be in a path.
func FuzzName(f *testing.F) {
	f.Add("20261123T034600Z-i42-1f3a")
	f.Add("../../etc")
	f.Add("shop")
	f.Fuzz(func(t *testing.T, text string) {
		if started, iteration, err := ParseID(text); err == nil {
			at, n, err := ParseID(NewID(started, iteration, "a run"))
			require.NoError(t, err)
			require.True(t, at.Equal(started))
			require.Equal(t, iteration, n)
		}
		for _, ok := range []bool{ValidID(text), ValidName(text), ValidTag(text), plainFileName(text)} {
			if ok {
				require.NotContains(t, text, "/")
				require.NotContains(t, text, "\n")
				require.NotContains(t, text, "\x00")
				require.NotEqual(t, "..", text)
				require.LessOrEqual(t, len(text), 255)
			}
		}
		require.True(t, keyPattern.MatchString(stagingDirName(text)), "%q", stagingDirName(text))
	})
}

func TestLeaseOfARunWithALongName(t *testing.T) {
	fsys := vfstest.NewMem()
	require.NoError(t, fsys.Mkdir("/backups", 0o700))
	r, err := Open(fsys, "/backups")
	require.NoError(t, err)
	for _, run := range []string{"", strings.Repeat("x", 1<<20)} {
		_, err = r.Acquire("shop", run, time.Unix(1e9, 0))
		require.ErrorContains(t, err, "1 to 1024 are wanted")
	}
	l, err := r.Acquire("shop", strings.Repeat("x", 1<<10), time.Unix(1e9, 0))
	require.NoError(t, err)
	require.NoError(t, l.End())
}
