//go:build !manual

// Command worker runs beside the databases and takes their backups as Temporal
// asks for them. It reads the databases and writes the repository, nothing else.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"canvasback/internal/engine"
	"canvasback/internal/vfs"
)

func main() {
	vfs.KeepOwnRights()
	engine.RunIfChild()
	os.Exit(run())
}

// run gives the first signal to the worker, which stops in good order; the
// second one ends the process.
func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	return Main(ctx, os.Args[1:], os.Stdout, os.Stderr)
}
