// Package repo keeps backups in a directory:
//
//	<repository>/<database>/<id>/           one backup: plain files
//	    <name>.duckdb, <name>.duckdb.wal    what the manifest lists
//	    SHA256SUMS                          for sha256sum -c
//	    manifest.json                       its presence makes the backup exist
//	<repository>/<database>/.staging/<key>/ work in progress of one run
//	<repository>/<database>/.staging/.gone-*  removed, data still to be freed
//	<repository>/<database>/.lock, .run     one run at a time
//
// A backup appears by one rename of its whole directory, after everything in
// it was synced, and disappears by one rename; so what is listed is whole at
// every instant, whatever fails or crashes. Directories are 0700, files 0600.
//
// Nothing outside the manifests is trusted. Names are checked so that no path
// leaves the repository, and a symbolic link in the place of a database or
// backup is refused. The methods of Repo are safe for concurrent use by any
// number of processes; a Staging or Lease belongs to one goroutine.
package repo
