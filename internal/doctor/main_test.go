package doctor

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"canvasback/internal/config"
	"canvasback/internal/engine/enginetest"
	"canvasback/internal/vfs"
)

// strangerName is argv[0] of a process in a PID namespace of its own, which
// says who holds the database of its first argument.
const strangerName = "canvasback-doctor-stranger"

func TestMain(m *testing.M) {
	enginetest.RunIfChild()
	if os.Args[0] == strangerName {
		c := &Checkup{FS: vfs.OS(), Config: &config.Config{}, Now: time.Now}
		if err := json.NewEncoder(os.Stdout).Encode(c.subject(&config.Database{Path: os.Args[1]}).owner()); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// setUp is a good set-up with a database that nobody holds, to be spoilt.
func setUp(t *testing.T) *Checkup {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "live", "shop.duckdb")
	require.NoError(t, os.Mkdir(filepath.Dir(path), 0o700))
	enginetest.Create(t, path, "CREATE TABLE orders AS SELECT range AS id FROM range(1000)")
	return setUpFor(t, path)
}

func setUpFor(t *testing.T, path string) *Checkup {
	t.Helper()
	repository := filepath.Join(t.TempDir(), "backups")
	require.NoError(t, os.Mkdir(repository, 0o700))
	cfg, err := config.FromFlags([]string{"shop=" + path}, repository, "db1")
	require.NoError(t, err)
	return &Checkup{FS: vfs.OS(), Config: cfg, Version: "v1.5.6", Now: time.Now}
}

// shop is the one database of a set-up, read anew.
func shop(c *Checkup) *subject { return c.subject(&c.Config.Databases[0]) }

// is holds a finding to its status and to a part of its text; what is not ok
// says how to mend it, unless it was skipped.
func is(t *testing.T, f Finding, status Status, text string) {
	t.Helper()
	assert.Equal(t, status, f.Status, "%s: %s", f.Check, f.Found)
	assert.Contains(t, f.Found, text, f.Check)
	if status == Warn || status == Fail {
		assert.NotEmpty(t, f.Mend, "%s: %s", f.Check, f.Found)
	}
}

func TestGoodSetUp(t *testing.T) {
	c := setUp(t)
	tree := snapshot(t, filepath.Dir(filepath.Dir(c.Config.Databases[0].Path)))
	before := snapshot(t, c.Config.Repository)
	checked := map[string]bool{}
	for _, f := range c.Local(t.Context()) {
		checked[f.Check] = true
		switch f.Check {
		case "user", "repository.apart", "clock.synchronized": // as the machine has it
		default:
			assert.Equal(t, OK, f.Status, "%s: %s", f.Check, f.Found)
		}
	}
	assert.Len(t, checked, 21, "%v", checked)
	assert.Equal(t, tree, snapshot(t, filepath.Dir(filepath.Dir(c.Config.Databases[0].Path))), "nothing beside the database is touched")
	assert.Equal(t, before, snapshot(t, c.Config.Repository), "nothing is left in the repository")
}

// snapshot lists the files below dir with their sizes and times.
func snapshot(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	require.NoError(t, filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			files[path] = fmt.Sprint(info.Size(), info.Mode(), info.ModTime())
		}
		return err
	}))
	return files
}

func TestReportCounts(t *testing.T) {
	r := NewReport([]Finding{{Status: OK}, {Status: Fail}, {Status: OK}, {Status: Skipped}, {Status: Warn}, {Status: OK}})
	assert.Equal(t, Counts{OK: 3, Warn: 1, Fail: 1, Skipped: 1}, r.Counts)
}

func TestNewCheckupAsksTheEngine(t *testing.T) {
	assert.Regexp(t, `^v[0-9]+\.`, NewCheckup(context.Background(), setUp(t).Config).Version)
}
