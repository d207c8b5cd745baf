package doctor

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"canvasback/internal/app"
	"canvasback/internal/config"
	"canvasback/internal/failure"
)

var server = Server{Address: "127.0.0.1:7233", Namespace: "default"}

// goodSurvey is of a host that lacks nothing.
func goodSurvey() *app.Survey {
	spec := app.Spec{Database: "shop", Host: "db1", Cron: "0 3 * * *"}
	return &app.Survey{
		Namespace: "default", Retention: 30 * 24 * time.Hour, Registered: true, Pollers: []string{"canvasback-worker@db1"}, Processes: []string{"db1, process 7"},
		ClockFrom: -time.Second, ClockTo: time.Second,
		Databases: []app.Surveyed{{Name: "shop", Schedule: &app.ScheduleState{Spec: spec, Ours: true}, Drill: &app.ScheduleState{Spec: spec, Ours: true}}},
	}
}

func TestTemporal(t *testing.T) {
	cron := &app.Cron{Spec: app.Spec{Database: "shop", Host: "db1", Cron: "@daily"}}
	tests := []struct {
		name   string
		spoil  func(s *app.Survey)
		check  string
		status Status
		found  string
		mend   string
	}{
		{"nothing is wrong", func(*app.Survey) {}, "schedule.backup", OK, "0 3 * * * UTC", ""},
		{"deprecated namespace", func(s *app.Survey) { s.Registered = false }, "temporal.namespace", Fail, "takes no new workflows", "TEMPORAL_NAMESPACE"},
		{"hidden namespace", func(s *app.Survey) { s.NamespaceErr = errors.New("denied") }, "temporal.namespace", Skipped, "denied", ""},
		{"a day of retention", func(s *app.Survey) { s.Retention = 24 * time.Hour }, "temporal.retention", Warn, "after 1 days", "temporal operator namespace update -n default --retention 7d"},
		{"three days of retention", func(s *app.Survey) { s.Retention = 72 * time.Hour }, "temporal.retention", OK, "3 days", ""},
		{"retention that is not told", func(s *app.Survey) { s.Retention = 0 }, "temporal.retention", Skipped, "", ""},
		{"no permission", func(s *app.Survey) { s.WorkflowsErr = errors.New("denied") }, "temporal.permissions", Fail, "denied", "right to list"},
		{"clock behind", func(s *app.Survey) { s.ClockFrom, s.ClockTo = 31*time.Second, 40*time.Second }, "clock.temporal", Warn, "31s behind", setClock},
		{"clock ahead", func(s *app.Survey) { s.ClockFrom, s.ClockTo = -time.Hour, -31*time.Second }, "clock.temporal", Warn, "31s ahead", setClock},
		{"clock that may be right", func(s *app.Survey) { s.ClockFrom, s.ClockTo = 20*time.Second, time.Hour }, "clock.temporal", OK, "agree", ""},
		{"clock that is not seen", func(s *app.Survey) { s.ClockErr = errors.New("no poll") }, "clock.temporal", Skipped, "no poll", ""},
		{"no worker", func(s *app.Survey) { s.Pollers = nil }, "worker.polls", Fail, "no worker polls the task queue canvasback@db1", "host: db1"},
		{"two workers", func(s *app.Survey) { s.Processes = append(s.Processes, "db2, process 9") }, "worker.polls", Warn, "db1, process 7; db2, process 9", "stop all but one"},
		{"two names", func(s *app.Survey) { s.Processes, s.Pollers = nil, []string{"a", "b"} }, "worker.polls", Warn, "a, b", "stop all but one"},
		{"pollers not seen", func(s *app.Survey) { s.PollersErr = errors.New("denied") }, "worker.polls", Skipped, "denied", ""},
		{"attributes", func(s *app.Survey) { s.Attributes = []string{"A", "B"} }, "temporal.search-attributes", OK, "A, B", ""},
		{"attributes not seen", func(s *app.Survey) { s.AttributesErr = errors.New("denied") }, "temporal.search-attributes", Skipped, "denied", ""},
		{"nothing begins", func(s *app.Survey) { s.Databases[0].Schedule = nil }, "schedule.backup", Fail, "neither a schedule nor a cron workflow", "starter schedule create --database shop --schedule '0 3 * * *'"},
		{"both", func(s *app.Survey) { s.Databases[0].Cron = cron }, "schedule.backup", Fail, "a schedule and a cron workflow", "starter stop --cron --database shop"},
		{"cron", func(s *app.Survey) { s.Databases[0].Schedule, s.Databases[0].Cron = nil, cron }, "schedule.backup", OK, "a cron workflow, @daily UTC", ""},
		{"cron of another host", func(s *app.Survey) {
			s.Databases[0].Schedule, s.Databases[0].Cron = nil, &app.Cron{Spec: app.Spec{Host: "db2"}}
		}, "schedule.backup", Fail, "db2", "starter stop --cron"},
		{"foreign schedule", func(s *app.Survey) { s.Databases[0].Schedule.Ours = false }, "schedule.backup", Fail, "not made by this program", "starter schedule delete --database shop"},
		{"another host", func(s *app.Survey) { s.Databases[0].Schedule.Spec.Host = "db2" }, "schedule.backup", Fail, "for the worker on db2", "starter schedule update --database shop --host db1"},
		{"drift", func(s *app.Survey) { s.Databases[0].Schedule.Drifted = true }, "schedule.backup", Warn, "changed elsewhere", "starter schedule update --database shop --host db1"},
		{"paused", func(s *app.Survey) {
			s.Databases[0].Schedule.Paused, s.Databases[0].Schedule.Note = true, "holidays"
		}, "schedule.backup", Warn, "holidays", "starter schedule unpause --database shop"},
		{"a time zone that is none", func(s *app.Survey) { s.Databases[0].Schedule.Spec.Timezone = "Mars/North" }, "schedule.backup", Fail, "Mars/North", "--timezone UTC"},
		{"paused drills", func(s *app.Survey) { s.Databases[0].Drill.Paused = true }, "schedule.drill", Warn, "no note", "starter schedule unpause --drill --database shop"},
		{"no drills", func(s *app.Survey) { s.Databases[0].Drill = nil }, "schedule.drill", OK, "--drill --database shop", ""},
		{"schedules not seen", func(s *app.Survey) { s.Databases[0].Err = errors.New("denied") }, "schedule.backup", Skipped, "denied", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := goodSurvey()
			tt.spoil(s)
			var at *Finding
			for _, f := range server.Temporal(s, &config.Config{Host: "db1"}) {
				if f.Check == tt.check {
					at = &f
				} else {
					assert.NotEqual(t, Fail, f.Status, "%s: %s", f.Check, f.Found)
				}
			}
			require.NotNil(t, at)
			is(t, *at, tt.status, tt.found)
			assert.Contains(t, at.Mend, tt.mend)
		})
	}
}

func TestUnreached(t *testing.T) {
	broken := errors.New("connection refused")
	f := server.Unreached(broken)
	require.Len(t, f, 2)
	is(t, f[0], Fail, "connection refused")
	assert.NotContains(t, f[0].Mend, "TLS")
	is(t, f[1], Skipped, "no server answers")
	assert.Contains(t, Server{Address: "temporal.example.com:7233"}.Unreached(broken)[0].Mend, "TEMPORAL_TLS=true")
	assert.Contains(t, Server{Address: "127.0.0.1:7233", TLS: true}.Unreached(broken)[0].Mend, "TEMPORAL_TLS=false")
	assert.Contains(t, Server{Address: "localhost"}.Unreached(broken)[0].Mend, "HOST:PORT")
}

// A server that answers, and does not take this client, is not one to be started.
func TestServersThatRefuse(t *testing.T) {
	for kind, mend := range map[*failure.Kind]string{
		failure.NoNamespace: "temporal operator namespace create", failure.TemporalTLS: "TEMPORAL_TLS", failure.TemporalDenied: "API key or certificate",
		failure.InvalidConfig: "mend",
	} {
		all := server.Unreached(failure.Errorf(kind, "it says no"))
		var f Finding
		for _, found := range all {
			if found.Status == Fail {
				f = found
			}
		}
		assert.Contains(t, f.Mend, mend, kind.Name)
		assert.NotContains(t, f.Mend, "start Temporal")
		assert.Equal(t, Skipped, all[len(all)-1].Status)
	}
}

func TestServerThatIsNotProtected(t *testing.T) {
	plain := Server{Address: "temporal.example.com:7233", Plain: "it is spoken to without TLS"}
	at := func(srv Server) *Finding {
		for _, f := range srv.Temporal(goodSurvey(), &config.Config{Host: "db1"}) {
			if f.Check == "temporal.tls" {
				return &f
			}
		}
		return nil
	}
	assert.Nil(t, at(server))
	require.NotNil(t, at(plain))
	is(t, *at(plain), Warn, "without TLS")
}

func TestLocalOnly(t *testing.T) { is(t, LocalOnly()[0], Skipped, "--local") }

func TestNames(t *testing.T) {
	assert.Equal(t, []string{"a", "b"}, Names(&config.Config{Databases: []config.Database{{Name: "a"}, {Name: "b"}}}))
}
