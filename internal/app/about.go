package app

import (
	"fmt"
	"strings"
)

// about is what the Temporal UI shows of a run before it says anything itself:
// a line in lists, and Markdown on the run's page. The server takes 200 and
// 20,000 bytes; names are bounded far below that.
func (s Spec) about() (summary, details string) {
	summary = s.Task.Of(s.Database)
	var b strings.Builder
	switch s.Task {
	case TaskDrill:
		fmt.Fprintf(&b, "Restores a backup of **%s** to scratch on **%s**, reads it with the engine, and keeps beside it how that went.", s.Database, s.Host)
	case TaskRestore:
		fmt.Fprintf(&b, "Restores a backup of **%s** on **%s** to a target that the worker's configuration names.", s.Database, s.Host)
	default:
		fmt.Fprintf(&b, "Takes a backup of **%s** on **%s**: checkpoint, copy, verify, prune. Nothing is pruned unless the new backup is good.", s.Database, s.Host)
	}
	if s.Cron != "" {
		zone := s.Timezone
		if zone == "" {
			zone = "UTC"
		}
		fmt.Fprintf(&b, " Begun by the schedule `%s` (%s).", s.Cron, zone)
	}
	fmt.Fprintf(&b, "\n\nHow far it is, and what it came to, is in the current details: they are asked of the worker on %s. "+
		"The update `cancel` stops the run and cleans up; so does `starter stop`.", s.Host)
	return summary, b.String()
}
