// Package server runs a whole Temporal server and its Web UI inside this
// process: one shard, durable in one SQLite file, reachable from this machine
// only.
//
// It is the only place that links Temporal's server. It suits one machine:
// Temporal supports SQLite for development and testing, and a server of
// another minor version cannot read the file (see FileName), so nothing of
// value may live in it alone. Backups never do: they are files in a
// repository, with a manifest beside each.
//
// A Server is safe for concurrent use. Two processes must not share one file:
// Start refuses that with a *LockedError. Within one process a file may be
// used again after Stop.
package server

import (
	"strings"

	"go.temporal.io/server/common/headers"
)

// Namespace is the one namespace that the server has besides its own.
const Namespace = "default"

// Version is the version of the Temporal server inside, "1.32.1".
func Version() string { return headers.ServerVersion }

// FileName is what the server's file should be called: it carries the minor
// version ("temporal-1.32.db"), because the schema changes with it and
// nothing migrates a SQLite file. A newer server starts with a file of its own.
func FileName() string {
	parts := strings.SplitN(headers.ServerVersion, ".", 3)
	return "temporal-" + parts[0] + "." + parts[1] + ".db"
}
