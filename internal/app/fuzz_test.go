package app

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"

	"canvasback/internal/health"
	"canvasback/internal/job"
)

// FuzzSpecOfMemo reads any text where a run carries what it was started from: what
// is taken is written and read again as the same.
func FuzzSpecOfMemo(f *testing.F) {
	m, err := Spec{Database: "shop", Host: "db1", Cron: "0 3 * * *"}.memo()
	require.NoError(f, err)
	f.Add(m[specMemo].(string))
	f.Add("null")
	f.Fuzz(func(t *testing.T, text string) {
		s, ok := specOfMemo(text)
		if !ok {
			return
		}
		again, err := s.memo()
		require.NoError(t, err)
		same, ok := specOfMemo(again[specMemo])
		require.True(t, ok)
		a, err := json.Marshal(s)
		require.NoError(t, err)
		b, err := json.Marshal(same)
		require.NoError(t, err)
		require.Equal(t, string(a), string(b))
	})
}

// FuzzWhen parses any text as when a schedule begins its runs. What is taken has a
// time between runs that is no less than nothing, and its last time is past.
func FuzzWhen(f *testing.F) {
	for _, text := range []string{"0 3 * * *", "@every 15m", "@daily", "CRON_TZ=UTC 0 0 1 1 *", "*/0 * * * *", "61 * * * *", "@every 999999999999h"} {
		f.Add(text, "Europe/Amsterdam")
	}
	now := time.Unix(1e9, 0)
	f.Fuzz(func(t *testing.T, expression, zone string) {
		w, err := parseWhen(expression, zone)
		if err != nil {
			require.NotEmpty(t, err.Error())
			return
		}
		require.GreaterOrEqual(t, w.interval(), time.Duration(0))
		require.GreaterOrEqual(t, w.longest(), time.Duration(0))
		require.False(t, w.last(now.Add(-48*time.Hour), now).After(now))
	})
}

// FuzzPulse reads any bytes as the last heartbeat of a host, and as one of a step
// at work. What is found wrong is said in words.
func FuzzPulse(f *testing.F) {
	now := time.Unix(1e9, 0)
	data, err := json.Marshal(job.Pulse{Host: "db1", At: now, Looked: now, FreeBytes: 1, Databases: []job.PulseDatabase{{
		Name: "shop", MaxAge: time.Hour, Backups: 1, Newest: &job.PulseBackup{ID: "b", Started: now, Finished: now}, Drill: &job.PulseDrill{},
	}}})
	require.NoError(f, err)
	f.Add(data)
	f.Add([]byte(`{"databases":[{"max_age":-9223372036854775808,"newest":{"started":"0001-01-01T00:00:00Z"}}]}`))
	f.Add([]byte("null"))
	f.Fuzz(func(t *testing.T, data []byte) {
		beat := &commonpb.Payloads{Payloads: []*commonpb.Payload{{Metadata: map[string][]byte{"encoding": []byte("json/plain")}, Data: data}}}
		d := &workflowservice.DescribeWorkflowExecutionResponse{
			WorkflowExecutionInfo: &workflowpb.WorkflowExecutionInfo{Status: enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING},
			PendingActivities: []*workflowpb.PendingActivityInfo{
				{ActivityType: &commonpb.ActivityType{Name: job.PulseActivity}, HeartbeatDetails: beat},
				{ActivityType: &commonpb.ActivityType{Name: "Copy"}, HeartbeatDetails: beat},
			},
		}
		run := runFacts(d)
		p := pulseIn(d)
		if p == nil {
			return
		}
		for i := range p.Databases {
			db := health.Database{Name: p.Databases[i].Name, Host: p.Host, Backups: &p.Databases[i], Worker: health.WorkerOf(p), Temporal: &health.Temporal{Begins: health.BySchedule, Run: run}}
			for _, found := range health.Assess(db, now) {
				require.NotEmpty(t, found.Kind)
				require.NotEmpty(t, found.Text)
			}
		}
	})
}
