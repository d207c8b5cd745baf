package workflows

import (
	"context"
	"errors"
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"canvasback/internal/job"
)

// answering lets the namespace have, at each question, the next of these
// attributes, and notes what the run sets, one map for each time.
func (e *environment) answering(t *testing.T, answers ...[]string) *[]map[string]any {
	e.RegisterActivityWithOptions(func(context.Context) (job.AttributesResult, error) {
		require.NotEmpty(t, answers, "it asks too often")
		names := answers[0]
		answers = answers[1:]
		if names == nil {
			return job.AttributesResult{}, temporal.NewNonRetryableApplicationError("it does not say", "PermissionDenied", nil)
		}
		return job.AttributesResult{Names: names}, nil
	}, activity.RegisterOptions{Name: job.AttributesActivity})
	var all []map[string]any
	e.OnUpsertTypedSearchAttributes(mock.Anything).Maybe().Return(nil).Run(func(args mock.Arguments) {
		set := map[string]any{}
		for key, value := range args.Get(0).(temporal.SearchAttributes).GetUntypedValues() {
			set[key.GetName()] = value
		}
		all = append(all, set)
	})
	return &all
}

// memo is what the run's memo came to.
func (e *environment) memo() *job.RunMemo {
	var m job.RunMemo
	e.OnUpsertMemo(mock.Anything).Return(nil).Run(func(args mock.Arguments) {
		m = args.Get(0).(map[string]any)[job.MemoKey].(job.RunMemo)
	}).Once()
	return &m
}

var everyAttribute = []string{job.AttributeDatabase, job.AttributeHost, job.AttributeOutcome, job.AttributeRule, job.AttributeBytes}

// A run sets those attributes that there are when it sets them, and its memo
// always.
func TestLabels(t *testing.T) {
	of := map[string]any{job.AttributeDatabase: "shop", job.AttributeHost: "default-test-taskqueue"}
	all := map[string]any{job.AttributeOutcome: "verified", job.AttributeRule: "A", job.AttributeBytes: int64(4096)}
	maps.Copy(all, of)
	for _, tt := range []struct {
		name    string
		answers [][]string
		set     []map[string]any
	}{
		{"all are there", [][]string{everyAttribute, everyAttribute}, []map[string]any{of, all}},
		{"none is there", [][]string{{}, {}}, nil},
		{"the server does not say", [][]string{nil, nil}, nil},
		{"they are made meanwhile", [][]string{{}, everyAttribute}, []map[string]any{all}},
		{"they go meanwhile", [][]string{everyAttribute, {job.AttributeOutcome, "Other"}}, []map[string]any{of, {job.AttributeOutcome: "verified"}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := newEnvironment(t)
			set, memo := e.answering(t, slices.Clone(tt.answers)...), e.memo()
			e.onGoodBackup("verified")
			_, err := e.run(t)
			require.NoError(t, err)
			assert.Equal(t, tt.set, *set)
			assert.Equal(t, job.RunMemo{Outcome: "verified", Backup: "b1", Rule: "A", Bytes: 4096, Database: "shop", Host: "default-test-taskqueue"}, *memo)
		})
	}
}

func TestLabelsOfRunsThatFail(t *testing.T) {
	e := newEnvironment(t)
	set, memo := e.answering(t, everyAttribute, everyAttribute), e.memo()
	e.onCheckpoint()
	e.on("Copy", job.CopyInput{Database: "shop", Run: run, Round: 1}, job.CopyResult{}, fullError)
	e.onAbandon(nil)
	_, err := e.run(t)
	require.Error(t, err)
	assert.Equal(t, "failed RepoFull", (*set)[1][job.AttributeOutcome])
	assert.NotContains(t, (*set)[1], job.AttributeRule)
	assert.Equal(t, job.RunMemo{Outcome: "failed RepoFull", Database: "shop", Host: "default-test-taskqueue"}, *memo)
}

// A memo that is refused, as one that is too large, is no reason to fail.
func TestLabelsThatAreRefused(t *testing.T) {
	e := newEnvironment(t)
	e.OnUpsertMemo(mock.Anything).Return(errors.New("no")).Once()
	e.onGoodBackup("verified")
	_, err := e.run(t)
	require.NoError(t, err)
}

// Runs that are at work when the program is replaced go on as they began.
func TestLabelsOfRunsThatBeganEarlier(t *testing.T) {
	for _, tt := range []struct {
		version workflow.Version
		set     []map[string]any
	}{
		{workflow.DefaultVersion, nil},
		{labelsOnce, []map[string]any{
			{job.AttributeDatabase: "shop", job.AttributeHost: "default-test-taskqueue"},
			{job.AttributeOutcome: "verified", job.AttributeRule: "A", job.AttributeBytes: int64(4096)},
		}},
	} {
		e := newEnvironment(t)
		e.OnGetVersion("labels", workflow.DefaultVersion, labelsAgain).Return(tt.version)
		e.OnGetVersion("announce", workflow.DefaultVersion, workflow.Version(1)).Return(workflow.DefaultVersion)
		set := e.answering(t, everyAttribute, everyAttribute)
		e.onGoodBackup("verified")
		_, err := e.run(t)
		require.NoError(t, err)
		assert.Equal(t, tt.set, *set, "version %d", tt.version)
	}
}
