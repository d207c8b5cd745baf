package crashtest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"canvasback/internal/engine/enginetest"
	"canvasback/internal/repo"
	"canvasback/internal/verify"
	"canvasback/internal/vfs"
)

// keptByPrune is how many verified backups the killed prunes leave.
const keptByPrune = 4

// command is one of the starter's that is killed. lasts is how long it takes
// when it is not.
type command struct {
	name  string
	args  []string
	lasts time.Duration

	kills, finished, traces int
}

// massacre is a world under load whose commands are killed.
type massacre struct {
	world
	t         *testing.T
	owner     *enginetest.Owner
	scratch   string
	atLeast   map[string]int64   // ledger entries that a backup must have, by ID
	contents  map[string]content // of every backup there ever was, by ID
	verified  map[string]bool    // IDs that were once listed as verified
	committed int64              // before the command at hand
}

// TestKilledStarter kills the real program at random moments while another
// process writes the database. After each kill everything that is listed must
// be good, and the same command must succeed by itself.
func TestKilledStarter(t *testing.T) {
	seed := *killSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("%d kills, -kill-seed %d", *kills, seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	m := newMassacre(t)
	commands := m.commands()
	for i := range commands {
		m.alone(&commands[i])
	}
	done := 0
	for round := 0; done < *kills; round++ {
		require.Less(t, round, 10*(*kills)+10, "the commands end before they can be killed")
		c := &commands[round%len(commands)]
		m.committed = m.owner.Committed()
		before, left := m.targetContent(), m.traces()
		e := start(t, m.scratch, time.Duration(rng.Float64()*float64(c.lasts))+time.Millisecond, c.args...)
		if !e.killed {
			require.Zero(t, e.status, "%s, not killed: %s", c.name, e.out)
			c.finished++
		} else {
			done++
			c.kills++
			if m.traces() > left {
				c.traces++
			}
		}
		m.check(before, fmt.Sprintf("after kill %d, of %s, %v into its %v", done, c.name, e.took, c.lasts))
		m.alone(c)
	}
	m.table(commands)
	m.finally()
}

func newMassacre(t *testing.T) *massacre {
	root := t.TempDir()
	m := &massacre{
		world: world{fs: vfs.OS(), root: root}, t: t, scratch: filepath.Join(root, "scratch"),
		atLeast: map[string]int64{}, contents: map[string]content{}, verified: map[string]bool{},
	}
	for _, dir := range []string{"live", "repo", "target", "scratch"} {
		require.NoError(t, os.Mkdir(filepath.Join(root, dir), 0o700))
	}
	m.owner = enginetest.StartOwner(t, m.source(), enginetest.OwnerOptions{
		Pause: 2 * time.Millisecond,
		Setup: []string{"CREATE TABLE IF NOT EXISTS still AS SELECT range AS i, md5(range::VARCHAR) AS s FROM range(300000)"},
	})
	m.owner.WaitCommits(t, 60)
	return m
}

func (m *massacre) commands() []command {
	backup := []string{"backup", "--local", "--repository", m.repository(), "--database", "shop=" + m.source(), "--settle", "300ms", "--keep-last", "100"}
	shop := []string{"--repository", m.repository(), "--database", "shop"}
	return []command{
		{name: "backup", args: backup},
		{name: "verify", args: append([]string{"verify"}, shop...)},
		{name: "restore", args: append([]string{"restore", "--keep-old", "--target", m.target()}, shop...)},
		{name: "prune", args: append([]string{"prune", "--confirm", "--keep-last", strconv.Itoa(keptByPrune)}, shop...)},
		{name: "check", args: append([]string{"check"}, shop...)},
		{name: "drill", args: append([]string{"drill", "--local"}, shop...)},
		{name: "backup", args: backup},
		{name: "prune to the trash", args: append([]string{"prune", "--confirm", "--grace", "30d", "--keep-last", strconv.Itoa(keptByPrune)}, shop...)},
	}
}

// traces counts what killed commands have left in the repository, beside the
// target and in the directory for temporary files.
func (m *massacre) traces() int {
	left, err := m.remains()
	require.NoError(m.t, err)
	n := len(left)
	if m.wantNoStage() != nil {
		n++
	}
	scratch, err := os.ReadDir(m.scratch)
	require.NoError(m.t, err)
	return n + len(scratch)
}

// alone runs a command undisturbed and wants it to succeed, whatever was left.
func (m *massacre) alone(c *command) {
	m.t.Helper()
	m.committed = m.owner.Committed()
	before := m.targetContent()
	e := start(m.t, m.scratch, 0, c.args...)
	require.Zero(m.t, e.status, "%s by itself: %s", c.name, e.out)
	c.lasts = e.took
	m.check(before, c.name+" by itself")
	if c.name == "restore" {
		m.restored()
	}
}

// targetContent is what stands at the target.
func (m *massacre) targetContent() content {
	c, err := m.get(m.target())
	require.NoError(m.t, err)
	return c
}

// check holds what there is to the promise. before is what was at the target.
func (m *massacre) check(before content, where string) {
	m.t.Helper()
	list, err := m.list()
	require.NoError(m.t, err, where)
	now := map[string]bool{}
	for _, b := range list {
		require.Contains(m.t, []repo.State{repo.StateCopied, repo.StateVerified}, b.State, "%s: %s %s", where, b.ID, b.Failure)
		_, err := verify.Run(context.Background(), verify.Request{FS: m.fs, Dir: m.backupDir(&b), Manifest: &b, Level: verify.LevelBytes})
		require.NoError(m.t, err, "%s: %s", where, b.ID)
		if _, known := m.contents[b.ID]; !known {
			m.contents[b.ID], err = m.backupContent(&b)
			require.NoError(m.t, err, where)
			m.atLeast[b.ID] = m.committed
		}
		now[b.ID] = b.State == repo.StateVerified
	}
	for id := range m.verified {
		require.True(m.t, now[id] || newer(now, id) >= keptByPrune, "%s: backup %s was verified and is no longer, or gone: %v", where, id, now)
	}
	for id, is := range now {
		if is {
			m.verified[id] = true
		}
	}
	m.checkTarget(before, where)
}

// checkTarget: what was at the target is complete there or aside, and what is
// there now is that, a backup, or nothing.
func (m *massacre) checkTarget(before content, where string) {
	m.t.Helper()
	at := m.targetContent()
	known := at.db == "-" || at == before
	for _, c := range m.contents {
		known = known || at == c
	}
	require.True(m.t, known, "%s: the target is no database that was there", where)
	safe := before.db == "-" || at == before
	aside, err := m.aside()
	require.NoError(m.t, err)
	for _, name := range aside {
		c, err := m.get(name)
		require.NoError(m.t, err)
		safe = safe || c == before
	}
	require.True(m.t, safe, "%s: the database that was at the target is lost; aside are %v", where, aside)
}

// restored: the target is the newest verified backup, and what earlier
// restores have moved aside is removed, as an operator would.
func (m *massacre) restored() {
	m.t.Helper()
	r, err := repo.Open(m.fs, m.repository())
	require.NoError(m.t, err)
	latest, err := r.Get("shop", repo.Latest)
	require.NoError(m.t, err)
	require.True(m.t, m.targetContent() == m.contents[latest.ID], "the target is backup %s", latest.ID)
	require.NoError(m.t, m.wantNoStage())
	names, err := filepath.Glob(m.target() + ".before-*")
	require.NoError(m.t, err)
	for _, name := range names {
		require.NoError(m.t, os.Remove(name))
	}
}

func (m *massacre) table(commands []command) {
	var text strings.Builder
	w := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "command\tkilled\tleft traces\tended before\tlasts")
	for _, c := range commands {
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%v\n", c.name, c.kills, c.traces, c.finished, c.lasts.Round(time.Millisecond))
		assert.Positive(m.t, c.kills, c.name)
	}
	_ = w.Flush() // a strings.Builder takes everything
	m.t.Logf("killed starters: %d backups made, %d entries committed\n%s", len(m.contents), m.owner.Committed(), &text)
	assert.Positive(m.t, commands[0].traces, "no backup was killed in the middle")
}

// finally reads every listed backup in full, by the engine and by sha256sum,
// sweeps, and lets the owner end.
func (m *massacre) finally() {
	list, err := m.list()
	require.NoError(m.t, err)
	require.GreaterOrEqual(m.t, len(list), keptByPrune)
	for _, b := range list {
		enginetest.CheckPrefix(m.t, filepath.Join(m.backupDir(&b), "shop.duckdb"), m.atLeast[b.ID])
		cmd := exec.Command("sha256sum", "--quiet", "--strict", "-c", "SHA256SUMS")
		cmd.Dir = m.backupDir(&b)
		out, err := cmd.CombinedOutput()
		require.NoError(m.t, err, "%s: %s", b.ID, out)
	}
	trashed, err := m.trashed()
	require.NoError(m.t, err)
	require.NotEmpty(m.t, trashed)
	for _, b := range trashed {
		enginetest.CheckPrefix(m.t, filepath.Join(m.repository(), "shop", ".trash", b.Manifest.ID, "shop.duckdb"), m.atLeast[b.Manifest.ID])
	}
	require.NoError(m.t, m.wantSwept())
	require.NoError(m.t, m.wantNoStage())
	last := m.owner.Committed()
	m.owner.Stop(m.t)
	enginetest.CheckPrefix(m.t, m.source(), last)
}
