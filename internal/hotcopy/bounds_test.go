package hotcopy

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
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

// TestAgeIsEvidence only where nobody can write unseen.
func TestAgeIsEvidence(t *testing.T) {
	for _, tt := range []struct {
		name    string
		process process
		pid     int
		variant string
		kind    *failure.Kind
	}{
		{"a process that runs", process{}, 1, "untouched", nil},
		{"one that has the file mapped", process{Mapped: true}, 1, "settled", nil},
		{"one that is stopped", process{Stopped: "stopped by a signal"}, 1, "", failure.OwnerStopped},
	} {
		t.Run(tt.name, func(t *testing.T) {
			mem := vfstest.NewMem()
			_, after := checkpointed(t)
			require.NoError(t, mem.MkdirAll("/live", 0o700))
			require.NoError(t, mem.MkdirAll("/copy", 0o700))
			mem.SetNow(func() time.Time { return time.Now().Add(-time.Hour) })
			(&writer{t: t, mem: mem}).put(livePath, 0, after.db)
			require.NoError(t, mem.SetLockOwner(livePath, tt.pid, true))
			opts := held(mem, nil)
			opts.Gate = 50 * time.Millisecond
			opts.process = func(pid int, _ uint64) process {
				assert.Equal(t, tt.pid, pid)
				return tt.process
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

func TestLookAtProcess(t *testing.T) {
	assert.Equal(t, process{Mapped: true}, lookAtProcess(0, 0), "nothing is known of a process in another namespace")
	cmd := exec.Command("sleep", "1000")
	require.NoError(t, cmd.Start())
	defer func() {
		require.NoError(t, cmd.Process.Kill())
		_ = cmd.Wait()
	}()
	pid := cmd.Process.Pid
	assert.Equal(t, process{}, lookAtProcess(pid, 1<<60))
	require.NoError(t, cmd.Process.Signal(syscall.SIGSTOP))
	require.Eventually(t, func() bool { return lookAtProcess(pid, 1<<60).Stopped == "stopped by a signal" }, 10*time.Second, time.Millisecond)
	require.NoError(t, cmd.Process.Signal(syscall.SIGCONT))
	require.Eventually(t, func() bool { return lookAtProcess(pid, 1<<60).Stopped == "" }, 10*time.Second, time.Millisecond)

	f, err := os.CreateTemp(t.TempDir(), "mapped")
	require.NoError(t, err)
	defer f.Close()
	require.NoError(t, f.Truncate(4096))
	info, err := f.Stat()
	require.NoError(t, err)
	ino := info.Sys().(*syscall.Stat_t).Ino
	assert.False(t, lookAtProcess(os.Getpid(), ino).Mapped)
	b, err := syscall.Mmap(int(f.Fd()), 0, 4096, syscall.PROT_READ, syscall.MAP_SHARED)
	require.NoError(t, err)
	assert.True(t, lookAtProcess(os.Getpid(), ino).Mapped)
	require.NoError(t, syscall.Munmap(b))
	assert.True(t, strings.HasSuffix(Executable(pid), "/sleep"))
}
