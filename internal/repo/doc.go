// Package repo keeps backups in a directory:
//
//	<repository>/.probe-*                   being written to see whether it can be
//	<repository>/<database>/<id>/           one backup: plain files
//	    <name>.duckdb, <name>.duckdb.wal    what the manifest lists
//	    SHA256SUMS                          for sha256sum -c
//	    manifest.json                       its presence makes the backup exist
//	    pin.json, drills.json, check.json   notes: what was added later
//	<repository>/<database>/.staging/<key>/ work in progress of one run
//	    .lock                               held by the attempt that works on it
//	<repository>/<database>/.staging/.gone-*  removed, data still to be freed
//	<repository>/<database>/.trash/<id>/    removed, and kept for a time
//	    removed.json                        when, why, and until when
//	<repository>/<database>/.lock, .run     one run at a time
//	<repository>/<database>/.edit           one change of what is listed at a time
//	<repository>/<database>/.told           what people were told of its runs
//
// A backup appears by one rename of its whole directory, after everything in
// it was synced, and disappears by one rename; so what is listed is whole at
// every instant, whatever fails or crashes. Directories are 0700, files 0600.
//
// Files are written in this order. Stage makes the staging directory, and the
// run fills it. Commit syncs what the manifest lists, removes the rest, writes
// SHA256SUMS, then manifest.json, and renames the directory. Update and the
// notes write a temporary file beside the old one (.*.tmp-*), sync it, rename it
// over the old one and sync the directory. Remove renames the directory to
// .staging/.gone-*, syncs both parents, and only then frees the data, manifest
// first. Trash writes removed.json and renames to .trash; Untrash renames back
// and removes removed.json. Sweep frees what a crash leaves at any of these
// points, and what has been in the trash for its time.
//
// Every JSON file has a schema number and is read strictly. A note is a file of
// its own, so that no writer of one can lose another's; a pin that cannot be read
// counts as a pin.
//
// All locks are flocks, which end with their process. They are taken in this
// order, and none is waited for while a later one is held:
//
//  1. .lock of the database: the lease. One run works on the database. Between
//     two steps of a run .run says until when the database is kept for it.
//  2. .lock of a staging directory: one attempt, or Sweep, has it. It is not
//     waited for. Sweep also leaves alone what was modified a short while ago: a
//     run that is between two steps holds no lock.
//  3. .edit: held for the moment of one change of what is listed (Update, the
//     notes, .told, and the renames of Remove, Trash, Untrash and Sweep), and the only
//     one that is waited for. So a change sees all earlier ones.
//  4. the directory of a backup itself: shared for those who read it (Read),
//     exclusive for those who take it out of the list, who do not wait and are
//     refused (failure.Reading). The lock is on the open directory: it needs no
//     file, works on a read-only mount, and goes along with a rename. Whoever
//     has it makes sure that the name still leads to what was locked. Some
//     network mounts cannot lock a directory: there readers are not protected.
//
// Commit takes no lock but that of its staging directory: its rename brings a
// new name, and it fails where the name is taken.
//
// Nothing outside the manifests is trusted. Names are checked so that no path
// leaves the repository, and a symbolic link in the place of a database or
// backup is refused. The methods of Repo are safe for concurrent use by any
// number of processes; a Staging, Lease or Reading belongs to one goroutine.
package repo
