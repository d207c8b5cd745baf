package app

import (
	"context"
	"strings"
	"sync"

	"go.temporal.io/sdk/client"

	"canvasback/internal/failure"
)

const (
	// schedulesPage is how many schedules one call lists.
	schedulesPage = 1000
	// lateAtMost is how many schedules may be late. Then the others are not asked.
	lateAtMost = askers
)

// scheduleKey names a schedule.
type scheduleKey struct {
	task     Task
	database string
}

// scheduled names the databases that have a schedule.
func scheduled(ctx context.Context, c client.Client) (map[string]bool, error) {
	schedules, err := listSchedules(ctx, c)
	names := map[string]bool{}
	for k := range schedules {
		names[k.database] = true
	}
	return names, err
}

// listSchedules finds the schedules that have an ID and a workflow of ours.
func listSchedules(ctx context.Context, c client.Client) (found map[scheduleKey]*client.ScheduleListEntry, err error) {
	err = patiently(ctx, func() error {
		found = map[scheduleKey]*client.ScheduleListEntry{}
		all, err := c.ScheduleClient().List(ctx, client.ScheduleListOptions{PageSize: schedulesPage})
		if err != nil {
			return Unreachable(err)
		}
		for all.HasNext() {
			e, err := all.Next()
			if err != nil {
				return Unreachable(err)
			}
			for _, task := range []Task{TaskBackup, TaskDrill} {
				if name, ours := strings.CutPrefix(e.ID, task.ID("")); ours && e.WorkflowType.Name == task.workflow() {
					found[scheduleKey{task, name}] = e
				}
			}
		}
		return nil
	})
	return found, err
}

// schedules describes schedules. That is done by a workflow of the server's for
// each, which may be late while a lot of runs begin. Their list is at hand at once
// then.
type schedules struct {
	client client.Client
	list   func() (map[scheduleKey]*client.ScheduleListEntry, error) // once

	mu   sync.Mutex // guards late
	late map[scheduleKey]bool
}

func newSchedules(ctx context.Context, c client.Client) *schedules {
	return &schedules{client: c, late: map[scheduleKey]bool{}, list: sync.OnceValues(func() (map[scheduleKey]*client.ScheduleListEntry, error) {
		ctx, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		return listSchedules(ctx, c)
	})}
}

// describe fails with NoSchedule where there is none.
func (s *schedules) describe(ctx context.Context, k scheduleKey) (*client.ScheduleDescription, error) {
	if s.areLate() {
		if d, err := s.listed(k); d != nil || err != nil {
			return d, err
		}
	}
	d, err := DescribeSchedule(ctx, s.client, k.task, k.database)
	if failure.Of(err) != failure.TemporalUnreachable || ctx.Err() != nil {
		return d, err
	}
	s.mu.Lock()
	s.late[k] = true
	s.mu.Unlock()
	if d, unlisted := s.listed(k); d != nil && unlisted == nil {
		return d, nil
	}
	return nil, err
}

// areLate tells whether so many were that there is no use in asking on.
func (s *schedules) areLate() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.late) >= lateAtMost
}

// listed is what the list says; nil where the schedule is not in it.
func (s *schedules) listed(k scheduleKey) (*client.ScheduleDescription, error) {
	list, err := s.list()
	e := list[k]
	if e == nil || err != nil {
		return nil, err
	}
	d := &client.ScheduleDescription{
		Schedule: client.Schedule{State: &client.ScheduleState{Paused: e.Paused, Note: e.Note}},
		Info:     client.ScheduleInfo{RecentActions: e.RecentActions, NextActionTimes: e.NextActionTimes},
	}
	if n := len(e.RecentActions); n > 0 && e.RecentActions[n-1].StartWorkflowResult != nil {
		d.Info.RunningWorkflows = []client.ScheduleWorkflowExecution{*e.RecentActions[n-1].StartWorkflowResult} // if it is
	}
	return d, nil
}

// fromList tells a description that was made of an entry of the list.
func fromList(d *client.ScheduleDescription) bool { return d.Schedule.Action == nil }
