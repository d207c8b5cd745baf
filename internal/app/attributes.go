package app

import (
	"context"
	"slices"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"

	"canvasback/activities"
	"canvasback/internal/job"
)

// AttributeTypes are the search attributes that runs carry where the namespace
// has them.
var AttributeTypes = map[string]enumspb.IndexedValueType{
	job.AttributeDatabase: enumspb.INDEXED_VALUE_TYPE_KEYWORD,
	job.AttributeHost:     enumspb.INDEXED_VALUE_TYPE_KEYWORD,
	job.AttributeOutcome:  enumspb.INDEXED_VALUE_TYPE_KEYWORD,
	job.AttributeRule:     enumspb.INDEXED_VALUE_TYPE_KEYWORD,
	job.AttributeBytes:    enumspb.INDEXED_VALUE_TYPE_INT,
}

// AttributesOf answers for the server of c what a run may carry. A server refuses
// attributes that it says it has, for the seconds after they were made or removed,
// and tries the workflow task again: that must not hold the run up, so a task that
// is tried again sets none.
func AttributesOf(c client.Client) *activities.Attributes {
	return &activities.Attributes{Registered: func(ctx context.Context, namespace string) ([]string, error) {
		names, err := registered(ctx, c, namespace)
		if err != nil || len(names) == 0 {
			return nil, err
		}
		run := activity.GetInfo(ctx).WorkflowExecution
		d, err := c.DescribeWorkflowExecution(ctx, run.ID, run.RunID)
		if err != nil {
			return nil, Unreachable(err)
		}
		if d.GetPendingWorkflowTask().GetAttempt() > 1 {
			return nil, nil
		}
		return names, nil
	}}
}

// registered names those of AttributeTypes that the namespace has. A server that
// does not say has none: Temporal Cloud's, or one that does not let us ask.
func registered(ctx context.Context, c client.Client, namespace string) ([]string, error) {
	there, err := c.OperatorService().ListSearchAttributes(ctx, &operatorservice.ListSearchAttributesRequest{Namespace: namespace})
	if err != nil {
		return nil, Unreachable(err)
	}
	var names []string
	for name, kind := range there.GetCustomAttributes() {
		if AttributeTypes[name] == kind && kind != enumspb.INDEXED_VALUE_TYPE_UNSPECIFIED {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names, nil
}
