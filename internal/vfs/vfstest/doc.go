// Package vfstest makes file systems misbehave on purpose: Mem forgets what
// was not synced when it crashes, Intercept and FailNth make chosen operations
// fail.
//
// The two sweeps that every writer is tested by:
//
//	for n := 1; ; n++ {
//		mem := vfstest.NewMem()
//		bad := vfstest.FailNth(mem, n, syscall.EIO)
//		err := write(bad)
//		check(t, mem, err) // the old state or the new, nothing else
//		if !bad.Fired() {
//			require.NoError(t, err)
//			break
//		}
//	}
//
//	mem := vfstest.NewMem()
//	fsys := vfstest.Intercept(mem, func(op vfstest.Op) error {
//		for seed := range int64(4) {
//			check(t, mem.CrashClone(seed))
//		}
//		return nil
//	})
//	require.NoError(t, write(fsys))
package vfstest
