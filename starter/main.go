//go:build !manual

// Command starter takes, lists, verifies and restores backups on the spot, and
// starts, watches and stops the ones that Temporal runs. Package cli holds its
// commands.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"canvasback/internal/cli"
	"canvasback/internal/engine"
	"canvasback/internal/vfs"
)

func main() {
	vfs.KeepOwnRights()
	engine.RunIfChild()
	os.Exit(run())
}

// run gives the first signal to the command, which stops in good order; the
// second one ends the process.
func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	return cli.Main(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
}
