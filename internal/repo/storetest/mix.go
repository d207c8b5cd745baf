package storetest

import (
	"errors"
	"fmt"
	"io"
	"math/rand"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"canvasback/internal/failure"
	"canvasback/internal/repo"
	"canvasback/internal/vfs"
)

// worker does everything that can be done with a repository, at random. It
// says what it is about to take away and what it has achieved.
type worker struct {
	fs   vfs.FS
	repo *repo.Repo
	seed int
	say  func(what, id string)
	made int
}

func (w *worker) run(times int) error {
	rng := rand.New(rand.NewSource(int64(w.seed)))
	for n := range times {
		err := w.step(rng)
		switch failure.Of(err) {
		case failure.Busy, failure.Reading, failure.UnknownBackup, failure.UnknownDatabase:
			continue // another was first
		}
		if err != nil {
			return fmt.Errorf("worker %d, operation %d: %w", w.seed, n, err)
		}
	}
	return nil
}

func (w *worker) step(rng *rand.Rand) error {
	switch p := rng.Intn(100); {
	case p < 18:
		w.made++
		return w.backup(fmt.Sprintf("own-%d-%d", w.seed, w.made))
	case p < 25:
		w.made++
		return w.backup(fmt.Sprintf("common-%d", rng.Intn(4)))
	case p < 31:
		return w.lease(fmt.Sprintf("run-%d", w.seed))
	case p < 37:
		_, err := w.repo.Sweep(database, time.Hour, time.Now())
		return err
	case p < 43:
		return w.untrash(rng)
	}
	list, err := w.repo.List(database)
	if err != nil || len(list) == 0 {
		return err
	}
	return w.on(rng, list[rng.Intn(len(list))].ID)
}

// on does something with one backup.
func (w *worker) on(rng *rand.Rand, id string) error {
	switch p := rng.Intn(100); {
	case p < 25:
		return w.read(id)
	case p < 45:
		err := w.repo.Update(database, id, count)
		if err == nil {
			w.say("updated", id)
		}
		return err
	case p < 52:
		return w.repo.SetPin(database, id, &repo.Pin{Owner: "ann", Reason: "mix", At: start})
	case p < 60:
		return w.repo.AddDrill(database, id, repo.Drill{At: start, Run: "mix", Level: "full"})
	case p < 67:
		return w.repo.SetCheck(database, id, repo.Check{At: start, Passed: true})
	case p < 72:
		_, err := w.repo.Notes(database, id)
		return err
	case p < 77:
		strays, err := w.repo.Strays(database)
		if len(strays) > 0 {
			err = errors.Join(err, fmt.Errorf("strays %v", strays))
		}
		return err
	case p < 92:
		w.say("removing", id)
		grace := time.Duration(rng.Intn(3)-1) * time.Hour
		if grace < 0 {
			grace = time.Nanosecond // the next sweep frees it
		}
		return w.repo.Trash(database, id, "mix", time.Now(), grace)
	}
	w.say("removing", id)
	return w.repo.Remove(database, id)
}

func (w *worker) backup(key string) error {
	m, err := backup(w.fs, w.repo, key, start.Add(time.Duration(w.seed*10000+w.made)*time.Second), repo.StateVerified)
	if err == nil {
		w.say("committed", m.ID)
	}
	return err
}

func (w *worker) lease(run string) error {
	l, err := w.repo.Acquire(database, run, time.Now())
	if err != nil {
		return err
	}
	return l.Close(time.Now().Add(time.Millisecond))
}

func (w *worker) read(id string) error {
	rd, err := w.repo.Read(database, id)
	if err != nil {
		return err
	}
	err = whole(w.fs, rd.Dir(), rd.Manifest())
	if err != nil {
		err = fmt.Errorf("a reader was disturbed: %v", err)
	}
	return errors.Join(err, rd.Close())
}

func (w *worker) untrash(rng *rand.Rand) error {
	trashed, err := w.repo.Trashed(database)
	if err != nil || len(trashed) == 0 {
		return err
	}
	return w.repo.Untrash(database, trashed[rng.Intn(len(trashed))].Manifest.ID)
}

// journal is what all workers of a store said.
type journal struct {
	mu                  sync.Mutex
	committed, removing map[string]bool
	updated             map[string]int64
	said                int
}

func (j *journal) say(what, id string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.said++
	switch what {
	case "committed":
		j.committed[id] = true
	case "removing":
		j.removing[id] = true
	case "updated":
		j.updated[id]++
	}
}

// listen notes what a child says, up to limit lines; a limit of 0 is none.
func (j *journal) listen(c *child, limit int) error {
	for n := 1; n != limit; n++ {
		line, err := c.out.ReadString('\n')
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		what, id, _ := strings.Cut(strings.TrimSpace(line), " ")
		j.say(what, id)
	}
	return nil
}

// testMix lets several users loose on one store, some of whom are killed. What
// is listed afterwards is whole, nothing is lost that nobody removed, and one
// sweep leaves nothing else.
func testMix(t *testing.T, o Options) {
	times := 60
	if o.EveryError {
		times = 400
	}
	s := o.New(t)
	r := open(t, s)
	j := &journal{committed: map[string]bool{}, removing: map[string]bool{}, updated: map[string]int64{}}
	const here = 3
	var children []*child
	if s.Processes {
		for i := range 4 {
			children = append(children, startChild(t, request{Dir: s.Dir, Job: "mix", Seed: 10 + i, Times: times}))
		}
	}
	together(t, here+len(children), func(i int) error {
		if i < here {
			w := &worker{fs: s.FS, repo: r, seed: i, say: j.say}
			return w.run(times)
		}
		c := children[i-here]
		if i%2 == 0 {
			return errors.Join(j.listen(c, 0), waitOf(c))
		}
		if err := j.listen(c, 8); err != nil {
			return err
		}
		if err := c.cmd.Process.Kill(); err != nil {
			return err
		}
		err := errors.Join(j.listen(c, 0), waitOf(c))
		if c.cmd.ProcessState != nil && c.cmd.ProcessState.ExitCode() < 0 {
			return nil // killed, as it was to be
		}
		return err
	})
	require.NotEmpty(t, j.committed)
	require.NotEmpty(t, j.removing)
	kept := map[string]repo.Manifest{}
	for _, m := range mustBeWhole(t, s) {
		kept[m.ID] = m
	}
	trashed, err := r.Trashed(database)
	require.NoError(t, err)
	for _, b := range trashed {
		assert.True(t, j.removing[b.Manifest.ID], "%s is in the trash and nobody put it there", b.Manifest.ID)
		kept[b.Manifest.ID] = b.Manifest
	}
	for id := range j.committed {
		m, there := kept[id]
		assert.True(t, there || j.removing[id], "%s is lost", id)
		assert.True(t, !there || m.Acceptance.Commits >= j.updated[id], "%s lost an update", id)
	}
	mustBeClean(t, s)
	t.Logf("%d said, %d committed, %d taken away", j.said, len(j.committed), len(j.removing))
}

func waitOf(c *child) error {
	if err := c.cmd.Wait(); err != nil {
		return fmt.Errorf("%w: %s", err, &c.errors)
	}
	return nil
}
