package fleettest

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/stretchr/testify/require"
)

// spread prints the median, the 95th percentile and the highest of durations.
func spread(name string, d []time.Duration) string {
	if len(d) == 0 {
		return fmt.Sprintf("%-34s %9s\n", name, "none")
	}
	slices.Sort(d)
	at := func(p float64) time.Duration { return d[min(len(d)-1, int(p*float64(len(d))))].Round(time.Millisecond) }
	return fmt.Sprintf("%-34s %6d  p50 %10s  p95 %10s  max %10s\n", name, len(d), at(0.5), at(0.95), at(1))
}

// latencies of the runs: from due to start, first step and end, and of the steps
// from the moment that they were to be done until a worker had them.
func (v *verdict) latencies() string {
	var toStart, toStep, toEnd, took, queued []time.Duration
	steps := map[string][]time.Duration{}
	var events, bytes int64
	for _, r := range v.runs {
		due := r.due
		if due.IsZero() {
			due = r.began
		}
		toStart = append(toStart, r.began.Sub(due))
		toEnd = append(toEnd, r.ended.Sub(due))
		took = append(took, r.ended.Sub(r.began))
		if len(r.activities) > 0 && !r.activities[0].began.IsZero() {
			toStep = append(toStep, r.activities[0].began.Sub(due))
		}
		for _, a := range r.activities {
			if a.began.IsZero() {
				continue
			}
			queued = append(queued, a.began.Sub(a.scheduled))
			if !a.ended.IsZero() {
				steps[a.name] = append(steps[a.name], a.ended.Sub(a.began))
			}
		}
		events += r.events
		bytes += r.historySize
	}
	var b strings.Builder
	b.WriteString(spread("due to start", toStart) + spread("due to first step", toStep) + spread("due to end", toEnd) + spread("start to end", took))
	b.WriteString(spread("steps: scheduled to taken", queued))
	names := make([]string, 0, len(steps))
	for name := range steps {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		b.WriteString(spread("step "+name, steps[name]))
	}
	if n := int64(len(v.runs)); n > 0 {
		fmt.Fprintf(&b, "history: %d events and %d bytes in all, %.1f events and %d bytes a run\n", events, bytes, float64(events)/float64(n), bytes/n)
	}
	return b.String()
}

// report prints what was found, and keeps it.
func (s *stage) report(name string, parts ...string) {
	s.t.Helper()
	text := fmt.Sprintf("%s: %d databases, every %s with jitter %s for %s, copies %d\n\n%s\n\n%s", name, *databases, *every, *jitter, *lasts, *copies,
		strings.Join(s.events, "\n"), strings.Join(parts, "\n"))
	fmt.Println(text)
	if *results != "" {
		require.NoError(s.t, os.WriteFile(filepath.Join(*results, name+".txt"), []byte(text), 0o600))
	}
}
