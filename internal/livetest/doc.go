// Package livetest proves the main promise on real processes: a service that
// Canvasback knows nothing of holds a DuckDB file open and writes to it, the
// starter takes one backup after the other, and every restored copy holds a
// gap-free prefix of what the service committed.
//
// The services are examples/node-service and the writers below owners, each
// built with another version of DuckDB. Only tests import this package.
package livetest
