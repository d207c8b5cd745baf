// Package livetest proves the main promise on real processes: a service that
// Canvasback knows nothing of holds a DuckDB file open and writes to it, one
// backup after the other is taken, and every copy holds a gap-free prefix of
// what the service committed.
//
// The services are examples/node-service and the writers below owners, each
// built with another version of DuckDB (see Kind). The same program checks the
// copies, in a process of its own and with the same version: opening a copy can
// crash the engine, and a newer one may read what the owner's cannot. What must
// hold is listed in invariants.json.
//
// Only tests import this package.
package livetest
