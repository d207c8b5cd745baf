package backup

import (
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"canvasback/internal/config"
)

func TestNoLimitIsNoLimiter(t *testing.T) {
	r := &Runner{}
	limiter, done := r.limiter(&config.Database{})
	assert.True(t, limiter == nil, "an interface without a value costs nothing")
	done()
	_, bound := r.Pace()
	assert.False(t, bound)
}

// Both bounds hold: that of the host, over all copies, and each database's own.
func TestBothLimitsHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &Runner{pace: newPace(config.Bandwidth{Limit: 10e6})}
		slow, fast := &config.Database{Copy: config.Copy{Bandwidth: 2e6}}, &config.Database{}
		read := map[*config.Database]*int{}
		end := time.Now().Add(100 * time.Second)
		for _, d := range []*config.Database{slow, fast} {
			n := new(int)
			read[d] = n
			go func() {
				limiter, done := r.limiter(d)
				defer done()
				for time.Now().Before(end) {
					assert.NoError(t, limiter.WaitN(t.Context(), 1<<18))
					*n += 1 << 18
				}
			}()
		}
		time.Sleep(110 * time.Second)
		synctest.Wait()
		assert.InDelta(t, 200e6, *read[slow], 10e6)
		assert.InDelta(t, 800e6, *read[fast], 20e6, "what the slow one leaves")
		s, bound := r.Pace()
		assert.True(t, bound)
		assert.EqualValues(t, *read[slow]+*read[fast], s.Bytes, "what was not used is given back")
	})
}

func TestDoubts(t *testing.T) {
	dir, backups := t.TempDir(), t.TempDir()
	path := filepath.Join(dir, "shop.duckdb")
	f, err := os.Create(path)
	require.NoError(t, err)
	require.NoError(t, f.Truncate(36<<30))
	require.NoError(t, f.Close())
	cfg, err := config.FromFlags([]string{"shop=" + path, "gone=" + filepath.Join(dir, "gone.duckdb")}, backups, "h")
	require.NoError(t, err)
	r, err := New(cfg)
	require.NoError(t, err)
	assert.Empty(t, r.Doubts())
	none := filepath.Join(dir, "none")
	cfg.Bandwidth = config.Bandwidth{Limit: 100 << 20, Adaptive: true, Floor: 1 << 20, Pressure: none}
	require.Len(t, r.Doubts(), 2)
	assert.Equal(t, "the bandwidth cannot adapt and stays at its floor of 1.0 MiB/s: pressure stall information: open "+none+": no such file or directory", r.Doubts()[0])
	assert.Equal(t, "database shop has 36.0 GiB: at 1.0 MiB/s, the least that its copy may be left with, one takes 10h14m0s, and copy.timeout is 6h0m0s", r.Doubts()[1])
	cfg.Databases[0].Copy.Timeout = config.Duration(11 * time.Hour)
	assert.Len(t, r.Doubts(), 1)
}
