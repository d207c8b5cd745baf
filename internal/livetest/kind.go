package livetest

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// Kind is one sort of owner: a program with one version of DuckDB, and the
// checker of copies that carries the same one.
type Kind struct {
	Name string
	// Vouched is the version that an operator can vouch for; empty from 1.5 on,
	// where it would change nothing.
	Vouched string
	// Beside tells that its version can write on one connection while another
	// one's checkpoint runs, and skip the WAL.
	Beside bool

	program string // a binary of our own; empty: Node.js
	dir     string // where the service and its packages are
}

// Kinds builds and installs all of them. Programs that are in the directory bin
// already are taken from there.
func Kinds(t testing.TB, bin string) []Kind {
	t.Helper()
	build := func(module string) string {
		return buildIn(t, bin, filepath.Join("internal", "livetest", "owners", module))
	}
	return []Kind{
		{Name: "DuckDB 1.1.3", Vouched: "1.1.3", program: build("duckdb11")},
		{Name: "DuckDB 1.4.1", Vouched: "1.4.1", program: build("duckdb14")},
		{Name: "DuckDB 1.5.6", Beside: true, program: build("duckdb15")},
		{Name: "Node.js 1.5", Beside: true, dir: installNode(t, bin)},
	}
}

// Load is what an owner writes, and how fast.
type Load struct {
	Threshold string        // size of the WAL that starts a checkpoint, such as "1MB"
	Pause     time.Duration // between two transactions
	// What follows is left out where the owner is not of a Beside kind.
	SkipWAL bool          // every checkpoint of a commit goes past the WAL
	Flood   int64         // rows of a batch on a second connection; 0: no such connection
	Calm    time.Duration // between two of those batches
}

func (l Load) String() string {
	return fmt.Sprintf("threshold %s, pause %v, skip WAL %t, flood %d rows every %v", l.Threshold, l.Pause, l.SkipWAL, l.Flood, l.Calm)
}

// Start starts an owner of the kind.
func (k Kind) Start(t testing.TB, database string, l Load) *Owner {
	t.Helper()
	flags := []string{"--checkpoint-threshold", l.Threshold}
	if k.Beside {
		flags = append(flags, "--flood", fmt.Sprint(l.Flood))
		if l.SkipWAL {
			flags = append(flags, "--skip-wal-threshold", "1")
		}
	}
	if k.program == "" {
		flags = append(flags, "--pause-ms", fmt.Sprint(l.Pause.Milliseconds()), "--calm-ms", fmt.Sprint(l.Calm.Milliseconds()))
		return startNode(t, k.dir, database, flags...).Owner
	}
	return StartWriter(t, k.program, database, append(flags, "--pause", l.Pause.String(), "--calm", l.Calm.String())...)
}

// checker is the command that checks a copy, without its arguments.
func (k Kind) checker() *exec.Cmd {
	if k.program == "" {
		cmd := exec.Command("node", "check.mjs")
		cmd.Dir = k.dir
		return cmd
	}
	return exec.Command(k.program, "check")
}
