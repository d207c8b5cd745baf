// Command standalone backs databases up with nothing else on the machine: a
// Temporal server with its Web UI, the worker and the schedule, all in one
// process, with its state in one directory.
//
//	go run ./standalone --database ./my.duckdb
//
// Without --database it makes a sample database, which a process of its own
// keeps writing, and backs that up. SQLite keeps Temporal's state: that is
// for one machine, and for as long as the server inside has the same minor
// version. The backups themselves are plain files that need none of it.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"canvasback/internal/engine"
	"canvasback/internal/vfs"
	"canvasback/standalone/sample"
)

func main() {
	vfs.KeepOwnRights()
	engine.RunIfChild()
	sample.RunIfChild()
	os.Exit(start())
}

// start gives the first signal to the program, which stops in good order; the
// second one ends the process.
func start() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	return Main(ctx, os.Args[1:], os.Stdout, os.Stderr)
}
