package activities

import (
	"context"

	"go.temporal.io/sdk/activity"

	"canvasback/internal/job"
)

// Attributes knows what runs may carry to be found by.
type Attributes struct {
	// Registered names the search attributes of job that a namespace has, with
	// the types that they are to have.
	Registered func(ctx context.Context, namespace string) ([]string, error)
}

// SearchAttributes says which search attributes a run may carry.
func (a *Attributes) SearchAttributes(ctx context.Context) (job.AttributesResult, error) {
	names, err := a.Registered(ctx, activity.GetInfo(ctx).Namespace)
	return job.AttributesResult{Names: names}, err
}
