package repo

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"canvasback/internal/failure"
	"canvasback/internal/vfs"
)

// crafted are texts for the manifest of the backup id, made of a good one.
func crafted(good, id string) map[string]string {
	with := func(old, new string) string {
		if !strings.Contains(good, old) {
			panic("the manifest does not hold " + old)
		}
		return strings.Replace(good, old, new, 1)
	}
	const name, started = `"name": "shop.duckdb"`, `"started": "2026-11-23T04:46:00Z"`
	list := map[string]string{
		"a name by dots":           with(name, `"name": "../../../../etc/passwd"`),
		"an absolute name":         with(name, `"name": "/etc/passwd"`),
		"a name with a NUL":        with(name, `"name": "shop\u0000.duckdb"`),
		"a name of a line":         with(name, `"name": "shop\n.duckdb"`),
		"a name that is no file's": with(name, `"name": ".."`),
		"an endless name":          with(name, `"name": "`+strings.Repeat("s", 1<<20)+`"`),
		"an empty name":            with(name, `"name": ""`),
		"a file twice":             with(`"shop.duckdb.wal"`, `"shop.duckdb"`),
		"a negative size":          with(`"bytes": 17`, `"bytes": -1`),
		"the largest size":         with(`"bytes": 17`, `"bytes": 9223372036854775807`),
		"a size beyond numbers":    with(`"bytes": 17`, `"bytes": 92233720368547758070`),
		"a size of an exponent":    with(`"bytes": 17`, `"bytes": 1e999`),
		"a size of a fraction":     with(`"bytes": 17`, `"bytes": 17.5`),
		"sizes of a sum":           with(`"bytes": 17`, `"bytes": 1152921504606846976`),
		"seconds beyond numbers":   with(`"seconds": 0`, `"seconds": 1e999`),
		"no number":                with(`"seconds": 0`, `"seconds": NaN`),
		"an infinite version":      with(`"schema": 1`, `"schema": 1e400`),
		"nested":                   strings.Repeat("[", 1<<20) + strings.Repeat("]", 1<<20),
		"nested within":            with(`"evidence": null`, `"evidence": `+strings.Repeat(`{"a":`, 1<<19)+"1"+strings.Repeat("}", 1<<19)),
		"a list":                   "[" + good + "]",
		"null":                     "null",
		"a word":                   `"manifest"`,
		"wrong types":              with(`"files": [`, `"files": {"a": [`),
		"text for a list":          with(`"evidence": null`, `"evidence": "x"`),
		"another database":         with(`"database": "shop"`, `"database": "till"`),
		"another ID":               with(id, NewID(start, 42, "run-1")),
		"a time of no calendar":    with(started, `"started": "2026-13-45T99:00:00Z"`),
		"a time of five digits":    with(started, `"started": "9999-12-31T23:59:59-23:59"`),
		"a time before any":        with(started, `"started": "0000-01-01T00:00:00+23:59"`),
		"two documents":            good + good,
		"a tag twice":              with(`"tool":`, `"tags": ["a", "a"], "tool":`),
		"a tag of a path":          with(`"tool":`, `"tags": ["../a"], "tool":`),
		"a duplicate that counts":  with(`"database": "shop"`, `"database": "shop", "database": "till"`),
		"a duplicate in capitals":  with(`"database": "shop"`, `"database": "shop", "DATABASE": "till"`),
		"a version twice":          with(`"schema": 1`, `"schema": 1, "Schema": 2`),
		"files twice":              with(`"tool":`, `"files": [{"name": "../x"}], "tool":`),
		"not UTF-8":                with("canvasback test", "canvasback \xff"),
		"a byte order mark":        "\ufeff" + good,
		"many objects":             with(`"files": [`, `"files": [`+strings.Repeat("{},", 2<<20)),
		"many tags":                with(`"tool":`, `"tags": [`+strings.Repeat(`"",`, 5<<20)+`"a"], "tool":`),
		"white space":              strings.Repeat(" ", 65<<20) + good,
	}
	var tags strings.Builder // all different: a search of all for each would not end
	for n := range 1 << 18 {
		fmt.Fprintf(&tags, `"t%d",`, n)
	}
	list["a quarter of a million tags"] = with(`"tool":`, `"tags": [`+tags.String()+`"t0"], "tool":`)
	return list
}

// TestCraftedManifests: none is taken for a backup, none keeps the others from
// use, none is removed but by name, and none takes more memory than it should.
func TestCraftedManifests(t *testing.T) {
	dir, err := os.MkdirTemp("/dev/shm", "crafted")
	require.NoError(t, err)
	defer os.RemoveAll(dir)
	r, err := Open(vfs.OS(), dir)
	require.NoError(t, err)
	a := mustBackup(t, r, "run-1", start, StateVerified)
	m := mustBackup(t, r, "run-2", start.Add(time.Hour), StateVerified)
	b := mustBackup(t, r, "run-3", start.Add(2*time.Hour), StateVerified)
	name := filepath.Join(r.BackupDir("shop", m.ID), manifestName)
	good, err := os.ReadFile(name)
	require.NoError(t, err)
	_, err = Decode(good)
	require.NoError(t, err)
	for what, text := range crafted(string(good), m.ID) {
		require.NoError(t, os.WriteFile(name, []byte(text), 0o600))
		before := allocated()
		list, err := r.List("shop")
		assert.Less(t, allocated()-before, uint64(1<<30), "%s: bytes of memory", what)
		require.Error(t, err, what)
		requireKind(t, failure.RepoCorrupt, err)
		require.ErrorContains(t, err, name, what)
		require.Less(t, len(err.Error()), 3<<20, "%s", what)
		require.Equal(t, []string{a.ID, b.ID}, ids(list), what)
		latest, err := r.Get("shop", Latest)
		require.NoError(t, err, what)
		require.Equal(t, b.ID, latest.ID)
		_, err = r.Get("shop", m.ID)
		requireKind(t, failure.RepoCorrupt, err)
		requireKind(t, failure.RepoCorrupt, r.Trash("shop", m.ID, "test", start, time.Hour))
		requireKind(t, failure.RepoCorrupt, r.Update("shop", m.ID, func(*Manifest) error { return nil }))
		removed, err := r.Sweep("shop", 0, time.Now().Add(time.Hour))
		require.NoError(t, err, what)
		require.Empty(t, removed, "%s: what cannot be read is not removed", what)
		_, err = r.Strays("shop")
		require.NoError(t, err, what)
		require.NoError(t, stageAndCommit(r, "run-4"), "%s: backups go on", what)
		require.NoError(t, r.Remove("shop", manifestOf("run-4", start.Add(5*time.Hour), StateVerified).ID))
	}
	require.NoError(t, os.WriteFile(name, good, 0o600))
	list, err := r.List("shop")
	require.NoError(t, err)
	require.Len(t, list, 3)
	require.NoError(t, r.Remove("shop", m.ID))
}

// allocated is what was allocated since the program began, in bytes.
func allocated() uint64 {
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.TotalAlloc
}

// TestFarTimes: a backup of a far time is one, and shown as such.
func TestFarTimes(t *testing.T) {
	m := fullManifest()
	for _, far := range []time.Time{time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC), time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC), {}} {
		m.Started, m.Finished, m.Verification.At = far, far, far
		data, err := Encode(m)
		require.NoError(t, err)
		_, err = Decode(data)
		require.NoError(t, err)
	}
	for _, text := range []string{`"9999-12-31T23:59:59-23:59"`, `"0000-01-01T00:00:00+23:59"`} {
		for base, note := range map[string]struct {
			text string
			into any
		}{
			pinName:     {`{"schema":1,"pin":{"owner":"x","reason":"","at":` + text + `}}`, &pinNote{}},
			drillsName:  {`{"schema":1,"drills":[{"at":` + text + `}]}`, &drillsNote{}},
			checkName:   {`{"schema":1,"check":{"at":` + text + `}}`, &checkNote{}},
			removedName: {`{"schema":1,"at":` + text + `,"until":` + text + `,"reason":""}`, &removal{}},
		} {
			require.ErrorContains(t, decodeNote(base, []byte(note.text), note.into), base+": a time in the year", "%s", text)
		}
	}
}
