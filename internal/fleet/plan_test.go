package fleet

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"canvasback/internal/app"
)

const planned = "fleet: prod\ndefaults: {host: db1, schedule: '0 3 * * *', jitter: 30m}\ndatabases: [{name: shop}]\n"

// asPlanned is the schedule that the file planned asks for.
func asPlanned() app.Present {
	return app.Present{Ours: true, Spec: app.Spec{Database: "shop", Host: "db1", Cron: "0 3 * * *", Jitter: 30 * time.Minute, Fleet: "prod"}}
}

// text is a step in a line.
func text(s Step) string {
	out := fmt.Sprintf("%s %s of %s on %s", s.Action, s.Task, s.Database, s.Host)
	for _, f := range s.Fields {
		out += fmt.Sprintf("; %s: %s -> %s", f.Name, f.Old, f.New)
	}
	if s.Why != "" {
		out += "; " + s.Why
	}
	if s.Hint != "" {
		out += "; " + s.Hint
	}
	return out
}

func TestPlanOfOneDatabase(t *testing.T) {
	run := &app.Run{WorkflowID: "canvasback-backup-shop-7", RunID: "r"}
	tests := []struct {
		name   string
		file   string // planned, where it is empty
		change func(p *app.Present)
		takes  []string
		want   string
	}{
		{"as it is", "", func(*app.Present) {}, nil, "unchanged backup of shop on db1"},
		{"what was left out is written out", "", func(p *app.Present) {
			p.Spec.Overlap, p.Spec.Timezone, p.Spec.Cron = "skip", "UTC", " 0 3  * * *"
		}, nil, "unchanged backup of shop on db1"},
		{"a person's pause", "", func(p *app.Present) { p.Paused = true }, nil, "unchanged backup of shop on db1"},
		{"paused by the file", "fleet: prod\ndatabases: [{name: shop, host: db1, schedule: 0 3 * * *, jitter: 30m, paused: true}]\n", func(*app.Present) {}, nil,
			"update backup of shop on db1; paused: no -> yes"},
		{"paused already", "fleet: prod\ndatabases: [{name: shop, host: db1, schedule: 0 3 * * *, jitter: 30m, paused: true}]\n", func(p *app.Present) { p.Paused = true }, nil,
			"unchanged backup of shop on db1"},
		{"to go on by the file", "fleet: prod\ndatabases: [{name: shop, host: db1, schedule: 0 3 * * *, jitter: 30m, paused: false}]\n", func(p *app.Present) { p.Paused = true }, nil,
			"update backup of shop on db1; paused: yes -> no"},
		{"every field", "", func(p *app.Present) {
			p.Spec.Cron, p.Spec.Timezone, p.Spec.Jitter, p.Spec.Overlap, p.Spec.Catchup = "@daily", "Asia/Tokyo", 0, "buffer-one", time.Hour
		}, nil, "update backup of shop on db1; schedule: @daily -> 0 3 * * *; timezone: Asia/Tokyo -> UTC; jitter: 0s -> 30m0s; overlap: buffer-one -> skip; catchup_window: 1h0m0s -> one interval"},
		{"changed elsewhere", "", func(p *app.Present) { p.Drifted = true }, nil, "update backup of shop on db1; edited: elsewhere -> as made"},
		{"encrypted with another key", "", func(p *app.Present) { p.Stale = true }, nil, "update backup of shop on db1; encryption: none, or an earlier key -> the present key"},
		{"another host", "", func(p *app.Present) { p.Spec.Host = "db0" }, nil, "move backup of shop on db1; host: db0 -> db1"},
		{"another host, and a run at work", "", func(p *app.Present) { p.Spec.Host, p.Running = "db0", run }, nil,
			"move backup of shop on db1; host: db0 -> db1; its run at work (canvasback-backup-shop-7) ends on host db0 first"},
		{"another host, and a run that nobody ends", "", func(p *app.Present) { p.Spec.Host, p.Running, p.Left = "db0", run, true }, nil,
			"move backup of shop on db1; host: db0 -> db1; its run at work (canvasback-backup-shop-7) is ended: no worker of host db0 is there to end it"},
		{"a run at work and no move", "", func(p *app.Present) { p.Running = run }, nil, "unchanged backup of shop on db1"},
		{"made by hand", "", func(p *app.Present) { p.Spec.Fleet = "" }, nil, "adopt backup of shop on db1; fleet:  -> prod"},
		{"made by hand, elsewhere", "", func(p *app.Present) { p.Spec.Fleet, p.Spec.Host = "", "db0" }, nil, "adopt backup of shop on db1; host: db0 -> db1; fleet:  -> prod"},
		{"of another fleet", "", func(p *app.Present) { p.Spec.Fleet = "staging" }, nil,
			"conflict backup of shop on db1; its schedule is of the fleet staging; take it out of that fleet's file, or take it over with --take-over staging"},
		{"of a third fleet", "", func(p *app.Present) { p.Spec.Fleet = "staging" }, []string{"test"},
			"conflict backup of shop on db1; its schedule is of the fleet staging; take it out of that fleet's file, or take it over with --take-over staging"},
		{"taken over", "", func(p *app.Present) { p.Spec.Fleet = "staging" }, []string{"test", "staging"}, "adopt backup of shop on db1; fleet: staging -> prod"},
		{"not made by this program", "", func(p *app.Present) { p.Ours, p.Spec = false, app.Spec{Database: "shop"} }, nil,
			"conflict backup of shop on db1; there is a schedule of its name that this program did not make; look at it in the Temporal UI (canvasback-backup-shop), delete it there, and apply again"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.file == "" {
				tt.file = planned
			}
			f, err := parse([]byte(tt.file), "fleet.yaml")
			require.NoError(t, err)
			p := asPlanned()
			tt.change(&p)
			steps := Plan(f, &app.Presence{Schedules: []app.Present{p}}, tt.takes...)
			require.Len(t, steps, 1)
			assert.Equal(t, tt.want, text(steps[0]))
			assert.Equal(t, steps[0].Action != Unchanged && steps[0].Action != Conflict, steps[0].Changes())
			assert.Equal(t, f.Wanted()[0].Spec, *steps[0].Change.Want)
		})
	}
}

func TestPlanOfAFleet(t *testing.T) {
	f, err := parse([]byte(`
fleet: prod
defaults: {host: db1, schedule: '@daily', drill: {schedule: '@weekly'}}
databases: [{name: new, paused: true, jitter: 5m}, {name: crons}, {name: both}]
`), "fleet.yaml")
	require.NoError(t, err)
	there := &app.Presence{
		Schedules: []app.Present{
			{Ours: true, Spec: app.Spec{Database: "both", Host: "db1", Cron: "@daily", Fleet: "prod"}},
			{Ours: true, Spec: app.Spec{Task: app.TaskDrill, Database: "both", Host: "db1", Cron: "@weekly", Fleet: "prod"}},
			{Ours: true, Spec: app.Spec{Database: "left", Host: "db7", Cron: "@daily", Fleet: "prod"}},
			{Ours: true, Spec: app.Spec{Task: app.TaskDrill, Database: "left", Host: "db7", Cron: "@daily", Fleet: "prod"}},
			{Ours: true, Spec: app.Spec{Database: "theirs", Host: "db8", Cron: "@daily", Fleet: "staging"}},
			{Ours: true, Spec: app.Spec{Database: "hand", Host: "db9", Cron: "@daily"}},
			{Spec: app.Spec{Database: "foreign"}},
		},
		Crons: map[string]app.Spec{"crons": {}, "both": {}},
	}
	var got []string
	for _, s := range Plan(f, there) {
		got = append(got, text(s))
	}
	assert.Equal(t, []string{
		"conflict backup of crons on db1; a cron workflow starts its backups; end it with 'starter stop --cron --database crons', and apply again",
		"conflict backup of both on db1; a cron workflow starts its backups beside the schedule; end it with 'starter stop --cron --database both', and apply again",
		"create backup of new on db1; schedule:  -> @daily; timezone:  -> UTC; jitter:  -> 5m0s; paused:  -> yes",
		"create drill of new on db1; schedule:  -> @weekly; timezone:  -> UTC; jitter:  -> 5m0s; paused:  -> yes",
		"create drill of crons on db1; schedule:  -> @weekly; timezone:  -> UTC",
		"remove backup of left on db7; it is not in the file any more; its backups stay",
		"remove drill of left on db7; it is not in the file any more; its backups stay",
		"left backup of hand on db9; it was made by hand and is not in the file",
		"unchanged drill of both on db1",
	}, got)
}
