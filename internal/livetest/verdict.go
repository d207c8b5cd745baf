package livetest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The ways in which a copy shows that it is bad, in the order in which they
// are looked for.
const (
	BadOpen  = "open"  // it does not open
	BadCrash = "crash" // the engine dies of it
	BadRead  = "read"  // a query fails
	BadData  = "data"  // every query runs, and an invariant does not hold
	BadLate  = "late"  // all that is right at first, and not after CHECKPOINT and a second opening
	Lost     = "lost"  // it is sound, but lacks entries that were committed before it was begun
)

// Verdict is what a checker says of a copy: the last ledger entry, what is
// wrong, and how that showed, which is empty for a good copy.
type Verdict struct {
	Last   int64    `json:"last"`
	Faults []string `json:"faults"`
	Kind   string   `json:"kind"`
}

// checkTimeout bounds a check; an engine that needs longer for a few megabytes
// hangs.
const checkTimeout = 2 * time.Minute

// Check has a copy checked in a process of its own, by the version of DuckDB
// that its owner has. The copy must hold the ledger 1..n for an n of atLeast to
// atMost. The check changes the copy. An error means that nothing was found out.
func (k Kind) Check(t testing.TB, path string, atLeast, atMost int64) (Verdict, error) {
	t.Helper()
	cmd := k.checker()
	cmd.Args = append(cmd.Args, "--database", path, "--invariants", filepath.Join(Root(t), "internal", "livetest", "invariants.json"),
		"--at-least", strconv.FormatInt(atLeast, 10), "--at-most", strconv.FormatInt(atMost, 10))
	// A Go program that its engine kills ends by a signal then, not with the
	// exit status of a wrong call.
	cmd.Env = append(os.Environ(), "GOTRACEBACK=crash")
	var out bytes.Buffer
	errOut := &tail{}
	cmd.Stdout, cmd.Stderr = &out, errOut
	if err := cmd.Start(); err != nil {
		return Verdict{}, err
	}
	timer := time.AfterFunc(checkTimeout, func() { _ = cmd.Process.Kill() })
	err := cmd.Wait()
	timer.Stop()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) || exit != nil && exit.ExitCode() == 2 {
		return Verdict{}, fmt.Errorf("check %s: %w\n%s", path, err, errOut)
	}
	if err != nil {
		return Verdict{Kind: BadCrash, Faults: []string{fmt.Sprintf("the checker ended: %v\n%s", err, errOut)}}, nil
	}
	var v Verdict
	if err := json.Unmarshal(out.Bytes(), &v); err != nil {
		return Verdict{}, fmt.Errorf("check %s: it printed %q: %w", path, &out, err)
	}
	return v, nil
}

// Remove removes a copy and what lies beside it.
func Remove(t testing.TB, path string) {
	t.Helper()
	for _, suffix := range logSuffixes {
		if err := os.Remove(path + suffix); err != nil && !errors.Is(err, os.ErrNotExist) {
			require.NoError(t, err)
		}
	}
}

// logSuffixes name the database file and all that DuckDB has beside it.
var logSuffixes = []string{"", ".wal", ".wal.checkpoint", ".wal.recovery"}
