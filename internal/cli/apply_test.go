package cli

import (
	"bytes"
	"context"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	backups "canvasback/internal/app"
	"canvasback/internal/failure"
	"canvasback/internal/fleet"
)

func planOfAll() *applyDoc {
	return newApplyDoc("production", []fleet.Step{
		{Action: fleet.Conflict, Database: "crm", Host: "db1", Why: "a cron workflow starts its backups", Hint: "end it, and apply again"},
		{Action: fleet.Create, Database: "logs", Host: "db2", Fields: []fleet.Field{{Name: "schedule", New: "@daily"}, {Name: "timezone", New: "UTC"}}},
		{Action: fleet.Create, Task: backups.TaskDrill, Database: "logs", Host: "db2", Fields: []fleet.Field{{Name: "schedule", New: "@weekly"}}},
		{Action: fleet.Adopt, Database: "old", Host: "db2", Fields: []fleet.Field{{Name: "fleet", New: "production"}}},
		{Action: fleet.Move, Database: "shop", Host: "db2", Fields: []fleet.Field{{Name: "host", Old: "db1", New: "db2"}, {Name: "jitter", Old: "0s", New: "5m0s"}}},
		{Action: fleet.Remove, Database: "gone", Host: "db3", Why: "it is not in the file any more; its backups stay"},
		{Action: fleet.Unchanged, Database: "same", Host: "db3"},
	})
}

func TestPlanTable(t *testing.T) {
	var out bytes.Buffer
	d := planOfAll()
	require.NoError(t, d.writePlan(painter{w: &out}))
	assert.Equal(t, strings.TrimLeft(`
ACTION    DATABASE  TASK    HOST  WHAT CHANGES
conflict  crm       backup  db1   a cron workflow starts its backups
create    logs      backup  db2   schedule @daily; timezone UTC
create    logs      drill   db2   schedule @weekly
adopt     old       backup  db2   fleet: production
move      shop      backup  db2   host: db1 -> db2; jitter: 0s -> 5m0s
remove    gone      backup  db3   it is not in the file any more; its backups stay

backup of crm: end it, and apply again
Fleet production: 1 in conflict, 2 to create, 1 to adopt, 1 to move, 1 to remove, 1 unchanged.
`, "\n"), out.String())
	assert.Equal(t, 5, d.changes())
}

func TestVerdictOfAPlan(t *testing.T) {
	failed := failure.Errorf(failure.TemporalUnreachable, "not tried: Temporal does not answer")
	tests := []struct {
		name   string
		change func(d *applyDoc)
		exit   int
		want   string
	}{
		{"a conflict, and the rest is done", func(d *applyDoc) { d.Done = 5 }, failure.ExitPartly, "1 conflict: the plan says what to do about each"},
		{"a conflict and a failure", func(d *applyDoc) { d.Done, d.Failed, d.Steps[1].err = 4, 1, failed }, failure.ExitPartly,
			"1 change not made and 1 conflict: not tried: Temporal does not answer"},
		{"nothing was done", func(d *applyDoc) {
			d.Summary[fleet.Conflict], d.Summary[fleet.Unchanged], d.Failed, d.Steps[1].err = 0, 0, 5, failed
		}, failure.ExitFailed, "5 changes not made: not tried: Temporal does not answer"},
		{"all is done", func(d *applyDoc) { d.Summary[fleet.Conflict], d.Done = 0, 5 }, failure.ExitDone, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := planOfAll()
			tt.change(d)
			err := d.verdict()
			if tt.want == "" {
				require.NoError(t, err)
				return
			}
			require.EqualError(t, err, tt.want)
			a := &app{ctx: t.Context(), errOut: io.Discard}
			assert.Equal(t, tt.exit, a.fail(err))
		})
	}
}

func TestConfirm(t *testing.T) {
	ask := func(ctx context.Context, answer io.Reader) (string, error) {
		var errOut bytes.Buffer
		a := &app{ctx: ctx, in: answer, errOut: &errOut, now: time.Now}
		err := a.confirm("Make 2 changes?")
		return errOut.String(), err
	}
	for _, yes := range []string{"y\n", "Yes\n", " y \n", "yes"} {
		asked, err := ask(t.Context(), strings.NewReader(yes))
		require.NoError(t, err, yes)
		assert.Equal(t, "Make 2 changes? [y/N] ", asked)
	}
	for _, no := range []string{"", "\n", "n\n", "yess\n"} {
		_, err := ask(t.Context(), strings.NewReader(no))
		assert.Equal(t, failure.Interrupted, failure.Of(err), no)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	in, keep := io.Pipe()
	defer keep.Close()
	_, err := ask(ctx, in)
	assert.Equal(t, failure.Interrupted, failure.Of(err), "nobody answers, and Ctrl-C ends it")
}
