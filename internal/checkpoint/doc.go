// Package checkpoint asks the owner of a live database to fold its WAL into
// the file, so that a backup has less to copy along. It never forces itself on
// the owner: the operator's hook does the asking, as a command, as an HTTP
// request within this machine, or, only where nobody holds the database, by
// opening it here.
//
// A backup does not need the checkpoint. Whether a hook that fails stops the
// backup is the operator's choice; a cancelled context always does. Run keeps
// no state and is safe for concurrent use.
package checkpoint
