package hotcopy

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"canvasback/internal/duckfile"
	"canvasback/internal/failure"
	"canvasback/internal/vfs"
	"canvasback/internal/vfs/vfstest"
)

// restless is a database whose header moves whenever the copy looks at blocks.
func restless(t *testing.T) Options {
	mem, _, after := atRest(t)
	opts := held(mem, nil)
	iteration := after.head.Current().Iteration
	opts.Progress = func(p Progress) {
		if p.Phase != "copy" {
			return
		}
		iteration++
		slot := bytes.Clone(after.head.Raw[duckfile.HeaderSize:])
		at := int(iteration%2) * duckfile.HeaderSize
		copy(slot[at:], after.head.Raw[2*duckfile.HeaderSize-at:][:duckfile.HeaderSize])
		for i := range 8 {
			slot[at+8+i] = byte(iteration >> (8 * i))
		}
		sum := duckfile.Checksum(slot[at+8 : at+duckfile.HeaderSize])
		for i := range 8 {
			slot[at+i] = byte(sum >> (8 * i))
		}
		(&writer{t: t, mem: mem}).put(livePath, int64(duckfile.HeaderSize+at), slot[at:at+duckfile.HeaderSize])
	}
	return opts
}

func TestAttemptsAreBounded(t *testing.T) {
	opts := restless(t)
	opts.MaxAttempts = 4
	_, err := Copy(t.Context(), opts)
	require.Error(t, err)
	assert.Same(t, failure.Moving, failure.Of(err))
	assert.True(t, failure.Of(err).Retry)
	assert.ErrorContains(t, err, "no copy of "+livePath+" could be accepted in 4 attempts (its header moved 4 times); the last one: the header of "+livePath+" went from iteration ")
}

func TestTimeIsBounded(t *testing.T) {
	opts := restless(t)
	opts.MaxAttempts, opts.MaxTime = 1_000_000, 300*time.Millisecond
	_, err := Copy(t.Context(), opts)
	require.Error(t, err)
	assert.Same(t, failure.OutOfTime, failure.Of(err))
	assert.True(t, failure.Of(err).Retry)
	assert.Regexp(t, `^no copy of /live/x.duckdb could be accepted within 300ms, in attempt \d+ \(its header moved \d+ times\); the last one: `, err.Error())

	mem, _, _ := atRest(t)
	opts = held(mem, nil)
	opts.Settle, opts.MaxTime = time.Hour, 100*time.Millisecond
	_, err = Copy(t.Context(), opts)
	require.Error(t, err)
	assert.Same(t, failure.OutOfTime, failure.Of(err))
	assert.EqualError(t, err, "the copy of /live/x.duckdb did not end within 100ms, in attempt 1")

	ctx, cancel := context.WithCancelCause(t.Context())
	stop := errors.New("stopped")
	cancel(stop)
	_, err = Copy(ctx, opts)
	assert.ErrorIs(t, err, stop, "the caller's own end is not the budget's")
}

func TestNetworkFileSystems(t *testing.T) {
	mem, _, _ := atRest(t)
	mem.SetKind(vfs.FSKind{Name: "nfs", Network: true})
	opts := held(mem, nil)
	_, err := Copy(t.Context(), opts)
	require.Error(t, err)
	assert.Same(t, failure.Network, failure.Of(err))
	assert.ErrorContains(t, err, livePath+" lies on a file system of kind nfs: ")
	opts.AllowNetwork = true
	_, err = Copy(t.Context(), opts)
	require.NoError(t, err)
}

func TestBarrierSyncsBeforeTheWait(t *testing.T) {
	mem, _, _ := atRest(t)
	var order []string
	fsys := vfstest.Intercept(mem, func(op vfstest.Op) error {
		if op.Kind == vfstest.OpSync && op.Name == livePath {
			order = append(order, "sync")
		}
		return nil
	})
	opts := held(mem, nil)
	opts.FS, opts.Barrier = fsys, true
	opts.Progress = func(p Progress) {
		if p.Phase == "settle" && len(order) < 2 {
			order = append(order, "settle")
		}
	}
	res, err := Copy(t.Context(), opts)
	require.NoError(t, err)
	assert.Equal(t, "settled", res.Evidence["variant"])
	assert.Equal(t, []string{"sync", "settle"}, order)
	assert.NotEmpty(t, res.Evidence["barrier_took"])
}

// TestAgeIsEvidence only where nobody can be about to write.
func TestAgeIsEvidence(t *testing.T) {
	for _, tt := range []struct {
		name    string
		held    bool
		stopped string
		variant string
		kind    *failure.Kind
	}{
		{"nobody", false, "", "untouched", nil},
		{"a process that runs", true, "", "settled", nil},
		{"one that is stopped", true, "stopped by a signal", "", failure.OwnerStopped},
	} {
		t.Run(tt.name, func(t *testing.T) {
			mem := vfstest.NewMem()
			_, after := checkpointed(t)
			require.NoError(t, mem.MkdirAll("/live", 0o700))
			require.NoError(t, mem.MkdirAll("/copy", 0o700))
			mem.SetNow(func() time.Time { return time.Now().Add(-time.Hour) })
			(&writer{t: t, mem: mem}).put(livePath, 0, after.db)
			require.NoError(t, mem.SetLockOwner(livePath, 11, tt.held))
			opts := held(mem, nil)
			opts.Gate = 50 * time.Millisecond
			opts.stopped = func(pid int) string {
				assert.Equal(t, 11, pid)
				return tt.stopped
			}
			res, err := Copy(t.Context(), opts)
			if tt.kind != nil {
				require.Error(t, err)
				assert.Same(t, tt.kind, failure.Of(err))
				return
			}
			require.NoError(t, err)
			assert.Equal(t, tt.variant, res.Evidence["variant"])
		})
	}
}

func TestWhyStopped(t *testing.T) {
	assert.Empty(t, whyStopped(0), "nothing is known of a process in another namespace")
	cmd := exec.Command("sleep", "1000")
	require.NoError(t, cmd.Start())
	defer func() {
		require.NoError(t, cmd.Process.Kill())
		_ = cmd.Wait()
	}()
	pid := cmd.Process.Pid
	assert.Empty(t, whyStopped(pid))
	require.NoError(t, cmd.Process.Signal(syscall.SIGSTOP))
	require.Eventually(t, func() bool { return whyStopped(pid) == "stopped by a signal" }, 10*time.Second, time.Millisecond)
	require.NoError(t, cmd.Process.Signal(syscall.SIGCONT))
	require.Eventually(t, func() bool { return whyStopped(pid) == "" }, 10*time.Second, time.Millisecond)
	assert.True(t, strings.HasSuffix(Executable(pid), "/sleep"))
}

func TestOpenNames(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.duckdb")
	f, err := os.Create(path)
	require.NoError(t, err)
	defer f.Close()
	info, err := f.Stat()
	require.NoError(t, err)
	st := info.Sys().(*syscall.Stat_t)
	assert.Equal(t, []string{path}, openNames(os.Getpid(), uint64(st.Dev), st.Ino))
	link := filepath.Join(t.TempDir(), "link.duckdb")
	require.NoError(t, os.Symlink(path, link))
	wal, err := os.Create(link + ".wal")
	require.NoError(t, err)
	defer wal.Close()
	assert.ElementsMatch(t, []string{path, link}, openNames(os.Getpid(), uint64(st.Dev), st.Ino))
	assert.Empty(t, openNames(os.Getpid(), uint64(st.Dev), st.Ino+1<<40))
	assert.Empty(t, openNames(1<<22+1, uint64(st.Dev), st.Ino))
}
