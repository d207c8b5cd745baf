package vfs

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"canvasback/internal/vfs/mounttest"
)

const (
	cloneBlock  = 256 << 10 // bytes, a block of DuckDB
	cloneBlocks = 8
	// newClones, each of which holds a write that the one before lacks, keep
	// the test short. Runs of many thousands found the same.
	newClones = 100
)

// fillBlock makes p the content of a write: every word tells its number.
func fillBlock(p []byte, write uint64) {
	binary.LittleEndian.PutUint64(p, write)
	for n := 8; n < len(p); n *= 2 {
		copy(p[n:], p[:n])
	}
}

// judge looks at the content of a file whose writer writes whole blocks, one
// after the other and round and round, with the write's number in each word.
// torn blocks hold words of two writes; late blocks are older than the newest
// block allows in a file seen at one point in time.
func judge(content []byte) (torn, late int, newest uint64) {
	writes := make([]uint64, cloneBlocks)
	for b := range cloneBlocks {
		p := content[b*cloneBlock : (b+1)*cloneBlock]
		writes[b] = binary.LittleEndian.Uint64(p)
		if !bytes.Equal(p[8:], p[:cloneBlock-8]) {
			torn++
		}
		newest = max(newest, writes[b])
	}
	for b, write := range writes {
		behind := (newest - uint64(b)) % cloneBlocks
		if write != newest-behind {
			late++
		}
	}
	return torn, late, newest
}

func TestJudge(t *testing.T) {
	content := make([]byte, cloneBlocks*cloneBlock)
	block := func(b int) []byte { return content[b*cloneBlock:][:cloneBlock] }
	for b, write := range []uint64{16, 17, 18, 11, 12, 13, 14, 15} {
		fillBlock(block(b), write)
	}
	torn, late, newest := judge(content)
	assert.Equal(t, []uint64{0, 0, 18}, []uint64{uint64(torn), uint64(late), newest})
	fillBlock(block(2)[cloneBlock-8:], 10)
	torn, late, _ = judge(content)
	assert.Equal(t, []int{1, 0}, []int{torn, late}, "the end of a write is missing")
	fillBlock(block(2), 18)
	fillBlock(block(1), 9)
	torn, late, _ = judge(content)
	assert.Equal(t, []int{0, 1}, []int{torn, late}, "a write is missing that came before another")
}

// writeRounds is that writer, by write(2), until stop is closed.
func writeRounds(name string, stop chan struct{}) (writes uint64, err error) {
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	p := make([]byte, cloneBlock)
	for n := uint64(cloneBlocks); ; n++ {
		select {
		case <-stop:
			return n - cloneBlocks, nil
		default:
		}
		fillBlock(p, n)
		if _, err := f.WriteAt(p, int64(n%cloneBlocks)*cloneBlock); err != nil {
			return 0, err
		}
	}
}

// startWriter makes the file with the writes 0 to 7 in it and writes on until
// the function that it returns is called, which gives the number of writes.
func startWriter(t *testing.T, name string) (stop func() uint64) {
	t.Helper()
	first := make([]byte, cloneBlocks*cloneBlock)
	for b := range cloneBlocks {
		fillBlock(first[b*cloneBlock:(b+1)*cloneBlock], uint64(b))
	}
	require.NoError(t, os.WriteFile(name, first, 0o600))
	stopped, done := make(chan struct{}), make(chan uint64)
	var writeErr error
	go func() {
		var n uint64
		n, writeErr = writeRounds(name, stopped)
		done <- n
	}()
	stop = sync.OnceValue(func() uint64 {
		close(stopped)
		n := <-done
		assert.NoError(t, writeErr)
		return n
	})
	t.Cleanup(func() { stop() })
	return stop
}

// TestCloneFromIsAPointInTime is what the copier's use of clones rests on: no
// block of a clone is torn, and none is older than a later write that the
// clone holds. It says nothing of stores to mapped memory.
func TestCloneFromIsAPointInTime(t *testing.T) {
	for _, fsType := range []string{"xfs", "btrfs"} {
		t.Run(fsType, func(t *testing.T) {
			dir := mounttest.Mount(t, fsType, 1<<30)
			name := filepath.Join(dir, "src")
			stop := startWriter(t, name)
			src, err := OS().Open(name)
			require.NoError(t, err)
			defer src.Close()
			dst := open(t, filepath.Join(dir, "dst"), "")
			got := make([]byte, cloneBlocks*cloneBlock)
			torn, late, clones, fresh, newest := 0, 0, 0, 0, uint64(0)
			began := time.Now()
			for ; fresh < newClones; clones++ {
				require.Less(t, time.Since(began), 2*time.Minute, "the writer hardly writes")
				require.NoError(t, dst.CloneFrom(src))
				_, err = dst.ReadAt(got, 0)
				require.NoError(t, err)
				a, b, last := judge(got)
				torn, late = torn+a, late+b
				if last > newest {
					newest = last
					fresh++
				}
			}
			t.Logf("%d clones in %v beside %d writes: %d torn blocks, %d late ones", clones, time.Since(began).Round(time.Millisecond), stop(), torn, late)
			assert.Zero(t, torn)
			assert.Zero(t, late)
		})
	}
}

// TestReadsAreNotAPointInTime is the counter-proof: the same judge finds fault
// with blocks that are read one after the other, soon.
func TestReadsAreNotAPointInTime(t *testing.T) {
	for _, fsType := range []string{"ext4", "xfs", "btrfs"} {
		t.Run(fsType, func(t *testing.T) {
			name := filepath.Join(mounttest.Mount(t, fsType, 1<<30), "src")
			stop := startWriter(t, name)
			src, err := OS().Open(name)
			require.NoError(t, err)
			defer src.Close()
			got := make([]byte, cloneBlocks*cloneBlock)
			torn, late, reads := 0, 0, 0
			for began := time.Now(); late == 0; reads++ {
				require.Less(t, time.Since(began), time.Minute)
				for b := range cloneBlocks {
					_, err = src.ReadAt(got[b*cloneBlock:(b+1)*cloneBlock], int64(b*cloneBlock))
					require.NoError(t, err)
				}
				a, b, _ := judge(got)
				torn, late = torn+a, late+b
			}
			t.Logf("%d reads beside %d writes: %d torn blocks, %d late ones", reads, stop(), torn, late)
		})
	}
}
