package hostile

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"testing"

	"canvasback/internal/backup"
	"canvasback/internal/config"
	"canvasback/internal/engine/enginetest"
	"canvasback/internal/failure"
	"canvasback/internal/repo"
)

// childName is argv[0] of a process of this test binary that takes one backup.
const childName = "canvasback-hostile"

func TestMain(m *testing.M) {
	enginetest.RunIfChild()
	if os.Args[0] == childName {
		os.Exit(child(os.Args[1]))
	}
	os.Exit(m.Run())
}

// outcome is what came of a backup. Kind is empty where it was made.
type outcome struct {
	Kind, Message string
	State         repo.State
	Rule, Level   string
	Commits       int64
}

// child takes a backup of the database "shop" of the configuration file and
// says what came of it.
func child(file string) int {
	cfg, err := config.Load(file)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	var o outcome
	r, err := backup.New(cfg)
	if err == nil {
		var sum *backup.Summary
		if sum, err = r.Backup(context.Background(), "shop", nil); err == nil {
			o.State, o.Rule, o.Commits = sum.Manifest.State, sum.Manifest.Acceptance.Rule, sum.Manifest.Acceptance.Commits
			o.Level = sum.Manifest.Verification.Level
		}
	}
	if err != nil {
		o.Kind, o.Message = failure.Of(err).Name, err.Error()
	}
	if err := json.NewEncoder(os.Stdout).Encode(o); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}
