package fleettest

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"canvasback/internal/app"
	"canvasback/internal/engine/enginetest"
	"canvasback/standalone/server"
	"canvasback/standalone/server/servertest"
)

// What a run is to be like.
var (
	lasts     = flag.Duration("for", 40*time.Second, "time from the first start of the schedules to the end of the last interval")
	every     = flag.Duration("every", 20*time.Second, "interval of the schedules; a part of an hour if it is a minute or more")
	jitter    = flag.Duration("jitter", 8*time.Second, "jitter of the schedules")
	databases = flag.Int("databases", 12, "databases, of all hosts together")
	live      = flag.Int("live", 2, "databases of each host that a process holds and writes")
	copies    = flag.Int("copies", 2, "copies that a worker makes at once")
	oldWorker = flag.String("old-worker", "", "program of the worker that is replaced in mid-run (default: the same build)")
	newWorker = flag.String("worker", "", "program of the worker (default: built here)")
	results   = flag.String("results", "", "directory for the figures over time and the table (default: none is kept)")
	restores  = flag.Int("restores", 4, "backups that are verified and restored at the end")
)

// workerProgram is the worker of this tree.
var workerProgram string

// serverEnv makes this program a Temporal server on the SQLite file it names.
const serverEnv = "CANVASBACK_FLEETTEST_SERVER"

func TestMain(m *testing.M) {
	enginetest.RunIfChild()
	if file := os.Getenv(serverEnv); file != "" {
		os.Exit(serve(file))
	}
	flag.Parse()
	os.Exit(testAll(m))
}

func testAll(m *testing.M) int {
	dir, err := os.MkdirTemp("", "canvasback-fleet-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	if err := servertest.Isolate(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if workerProgram = *newWorker; workerProgram == "" {
		workerProgram = filepath.Join(dir, "worker")
		if out, err := exec.Command("go", "build", "-o", workerProgram, "canvasback/worker").CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "%v\n%s", err, out)
			return 1
		}
	}
	return m.Run()
}

// serve is the server's process: it prints where it listens, and ends with its
// standard input.
func serve(file string) int {
	s, err := server.Start(context.Background(), server.Options{DBFile: file, NoUI: true, Attributes: app.AttributeTypes, LogFile: file + ".log"})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Println(s.HostPort())
	_, _ = io.Copy(io.Discard, bufio.NewReader(os.Stdin))
	if err := s.Stop(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}
