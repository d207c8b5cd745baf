// Package crashtest holds every operation on a repository to one promise,
// whatever interrupts it: each listed backup verifies, nothing good is lost,
// and the next run succeeds by itself.
//
// The matrix is operations (copy, verify, commit, prune, sweep, restore, and
// the whole backup as the starter takes it) by faults:
//
//   - the n-th file operation fails, for every n: EIO, ENOSPC, EACCES, once;
//   - the disk fails, or is full, from the n-th operation on;
//   - the machine stops before each change, with what was not synced kept or
//     lost at random.
//
// They run on a file system in memory and, where the engine reads, on the
// machine's own. Beside the matrix the real starter is killed at random
// moments while the database is written, and real file systems run full.
//
// Only tests import this package.
package crashtest
