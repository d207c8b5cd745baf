package doctor

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"canvasback/internal/app"
	"canvasback/internal/config"
	"canvasback/internal/failure"
	"canvasback/internal/job"
)

// minRetention is how long closed runs should be remembered at least: over a
// weekend.
const minRetention = 72 * time.Hour

// Server is where the Temporal server is looked for.
type Server struct {
	Address, Namespace string
	TLS                bool
	Keys               []string // names of those that encrypt what the server keeps
	// Plain says what is amiss where TLS is not used and should be; empty: nothing.
	Plain string
}

// Unreached is what is found where no connection came about. None of the other
// checks of Temporal can be made then.
func (srv Server) Unreached(err error) []Finding {
	const check = "temporal.reachable"
	switch failure.Of(err) {
	case failure.Payload:
		return NoKeys(err)
	case failure.NoNamespace:
		return []Finding{
			finding(check, OK, "", "a server answers at %s", srv.Address),
			finding("temporal.namespace", Fail, fmt.Sprintf("temporal operator namespace create -n %s --retention 7d, or set TEMPORAL_NAMESPACE", srv.Namespace), "there is no namespace %s", srv.Namespace),
			finding("temporal", Skipped, "", "the rest of Temporal: no namespace"),
		}
	case failure.TemporalBusy, failure.TemporalTLS, failure.TemporalDenied, failure.InvalidConfig, failure.Usage:
		return []Finding{
			finding(check, Fail, failure.Of(err).Hint, "%v", err),
			finding("temporal", Skipped, "", "the rest of Temporal: this client is not connected"),
		}
	}
	mend := "start Temporal, or name its address: --address, TEMPORAL_ADDRESS or the profile"
	switch host, _, splitErr := net.SplitHostPort(srv.Address); {
	case splitErr != nil:
		mend = "write the address as HOST:PORT, such as 127.0.0.1:7233"
	case srv.TLS:
		mend += "; it was spoken to with TLS: TEMPORAL_TLS=false turns that off"
	case host != "localhost" && !net.ParseIP(host).IsLoopback():
		mend += "; if it wants TLS: TEMPORAL_TLS=true, or TEMPORAL_API_KEY"
	}
	return []Finding{
		finding(check, Fail, mend, "%v", err),
		finding("temporal", Skipped, "", "the rest of Temporal: no server answers"),
	}
}

// NoKeys is what is found where the keys of what Temporal keeps cannot be used.
func NoKeys(err error) []Finding {
	return []Finding{
		finding("temporal.encryption", Fail, failure.Of(err).Hint, "%v", err),
		finding("temporal", Skipped, "", "the rest of Temporal: it could not be decrypted"),
	}
}

// encryption judges what the server keeps by the names of the keys; none: it keeps
// all in plain.
func encryption(keys []string) Finding {
	if len(keys) == 0 {
		return finding("temporal.encryption", OK, "", "what Temporal keeps is not encrypted")
	}
	return finding("temporal.encryption", OK, "", "what Temporal keeps is encrypted with the key %s", keys[0])
}

// LocalOnly is what is said of Temporal where it was not to be asked.
func LocalOnly() []Finding {
	return []Finding{finding("temporal", Skipped, "", "Temporal was not looked at (--local)")}
}

// Temporal judges what a server says of the host and its databases.
func (srv Server) Temporal(s *app.Survey, cfg *config.Config) []Finding {
	with := "without TLS"
	if srv.TLS {
		with = "with TLS"
	}
	findings := []Finding{
		finding("temporal.reachable", OK, "", "a server answers at %s, %s", srv.Address, with),
		srv.namespace(s), retention(s), listing(s), serverClock(s), encryption(srv.Keys), polled(s, cfg.Host), attributes(s),
	}
	if srv.Plain != "" {
		findings = append(findings, finding("temporal.tls", Warn, "TEMPORAL_TLS=true, with the certificates that the server wants (docs/temporal-server.md)", "%s", srv.Plain))
	}
	for _, d := range s.Databases {
		for _, f := range database(d, cfg.Host) {
			f.Database = d.Name
			findings = append(findings, f)
		}
	}
	return findings
}

func (srv Server) namespace(s *app.Survey) Finding {
	const check = "temporal.namespace"
	switch {
	case s.NamespaceErr != nil:
		return finding(check, Skipped, "", "this client may not look at the namespace %s: %v", srv.Namespace, s.NamespaceErr)
	case !s.Registered:
		return finding(check, Fail, "TEMPORAL_NAMESPACE=NAME of a namespace in use", "the namespace %s was deprecated or deleted: it takes no new workflows", srv.Namespace)
	}
	return finding(check, OK, "", "the namespace %s is there", srv.Namespace)
}

func retention(s *app.Survey) Finding {
	const check = "temporal.retention"
	switch {
	case s.Retention == 0:
		return finding(check, Skipped, "", "the namespace does not tell how long it remembers closed runs")
	case s.Retention < minRetention:
		return finding(check, Warn, fmt.Sprintf("temporal operator namespace update -n %s --retention 7d", s.Namespace),
			"closed runs are forgotten after %s: a failure of the weekend is gone on Monday (the backups and their manifests are not)", hours(s.Retention))
	}
	return finding(check, OK, "", "closed runs are remembered for %s", hours(s.Retention))
}

func hours(d time.Duration) string {
	if d%(24*time.Hour) == 0 {
		return fmt.Sprintf("%d days", d/(24*time.Hour))
	}
	return d.String()
}

func listing(s *app.Survey) Finding {
	const check = "temporal.permissions"
	if failure.Of(s.WorkflowsErr) == failure.Payload {
		return finding(check, Fail, failure.Payload.Hint, "runs of before cannot be listed: %v", s.WorkflowsErr)
	}
	if s.WorkflowsErr != nil {
		return finding(check, Fail, "give this client the right to list and start workflows in "+s.Namespace, "workflows cannot be listed: %v", s.WorkflowsErr)
	}
	return finding(check, OK, "", "workflows can be listed")
}

func serverClock(s *app.Survey) Finding {
	const check = "clock.temporal"
	switch {
	case s.ClockErr != nil:
		return finding(check, Skipped, "", "the server's clock could not be seen: %v", s.ClockErr)
	case s.ClockFrom > clockTolerance:
		return finding(check, Warn, setClock+", here or on the server", "this machine's clock is at least %s behind the server's", s.ClockFrom.Round(time.Second))
	case s.ClockTo < -clockTolerance:
		return finding(check, Warn, setClock+", here or on the server", "this machine's clock is at least %s ahead of the server's", (-s.ClockTo).Round(time.Second))
	}
	return finding(check, OK, "", "this machine's clock and the server's agree within %s", clockTolerance)
}

func polled(s *app.Survey, host string) Finding {
	const check = "worker.polls"
	queue := job.Queue(host)
	start := "start the worker on this host, with the same configuration (host: " + host + ") and the same Temporal settings"
	switch {
	case s.PollersErr != nil:
		return finding(check, Skipped, "", "the task queue %s could not be seen: %v", queue, s.PollersErr)
	case len(s.Pollers) == 0:
		return finding(check, Fail, start, "no worker polls the task queue %s: no backup will begin", queue)
	case len(s.Processes) > 1:
		return finding(check, Warn, "stop all but one, or give each machine a name of its own (host)",
			"%d workers poll %s (%s): each may get a step of a backup whose files another one sees", len(s.Processes), queue, strings.Join(s.Processes, "; "))
	case len(s.Pollers) > 1:
		return finding(check, Warn, "stop all but one, or give each machine a name of its own (host)",
			"%d workers poll %s (%s): each may get a step of a backup whose files another one sees", len(s.Pollers), queue, strings.Join(s.Pollers, ", "))
	}
	return finding(check, OK, "", "%s polls the task queue %s", strings.Join(s.Pollers, ", "), queue)
}

// attributes tells of a convenience only.
func attributes(s *app.Survey) Finding {
	const check = "temporal.search-attributes"
	switch {
	case s.AttributesErr != nil:
		return finding(check, Skipped, "", "the search attributes could not be seen: %v", s.AttributesErr)
	case len(s.Attributes) == 0:
		return finding(check, OK, "", "no search attributes of one's own are registered; none is needed")
	}
	return finding(check, OK, "", "search attributes registered: %s", strings.Join(s.Attributes, ", "))
}

// database judges what begins the backups and the drills of a database.
func database(d app.Surveyed, host string) []Finding {
	if d.Err != nil {
		return []Finding{finding("schedule.backup", Skipped, "", "the schedules could not be seen: %v", d.Err)}
	}
	if d.Schedule != nil && d.Cron != nil {
		return []Finding{finding("schedule.backup", Fail, fmt.Sprintf("starter stop --cron --database %s, or starter schedule delete --database %s", d.Name, d.Name),
			"there is a schedule and a cron workflow: every backup is taken twice, or refused because the other runs"), drills(d, host)}
	}
	return []Finding{begins(d, host), drills(d, host)}
}

func begins(d app.Surveyed, host string) Finding {
	const check = "schedule.backup"
	switch {
	case d.Schedule != nil:
		return schedule(check, d.Schedule, d.Name, "", host)
	case d.Cron != nil && d.Cron.Spec.Host != host:
		return finding(check, Fail, fmt.Sprintf("starter stop --cron --database %s, then starter schedule create --database %s", d.Name, d.Name),
			"the cron workflow is for the worker on %s, and this host is %s", d.Cron.Spec.Host, host)
	case d.Cron != nil:
		return finding(check, OK, "", "a cron workflow, %s %s", d.Cron.Spec.Cron, zone(d.Cron.Spec))
	}
	return finding(check, Fail, fmt.Sprintf("starter schedule create --database %s --schedule '0 3 * * *' --timezone UTC", d.Name),
		"nothing starts its backups: there is neither a schedule nor a cron workflow")
}

func drills(d app.Surveyed, host string) Finding {
	const check = "schedule.drill"
	if d.Drill == nil {
		return finding(check, OK, "", "restores are not tried out by a schedule; 'starter schedule create --drill --database %s --schedule '0 5 * * 0'' makes one", d.Name)
	}
	return schedule(check, d.Drill, d.Name, " --drill", host)
}

func schedule(check string, s *app.ScheduleState, name, drill, host string) Finding {
	update := fmt.Sprintf("starter schedule update%s --database %s --host %s", drill, name, host)
	switch {
	case !s.Ours:
		return finding(check, Fail, fmt.Sprintf("starter schedule delete%s --database %s, then create it anew", drill, name), "there is a schedule that was not made by this program")
	case s.Spec.Host != host:
		return finding(check, Fail, update, "the schedule is for the worker on %s, and this host is %s", s.Spec.Host, host)
	case s.Stale:
		return finding(check, Warn, update, "the server keeps the schedule in plain, or encrypted with an older key")
	case s.Drifted:
		return finding(check, Warn, update, "the schedule was changed elsewhere, and does not do what it says of itself (%s %s)", s.Spec.Cron, zone(s.Spec))
	case s.Paused:
		return finding(check, Warn, fmt.Sprintf("starter schedule unpause%s --database %s", drill, name), "the schedule is paused: %s", note(s.Note))
	case s.Spec.Check() != nil:
		return finding(check, Fail, update+" --schedule '0 3 * * *' --timezone UTC", "the schedule is not one: %v", s.Spec.Check())
	}
	return finding(check, OK, "", "%s %s", s.Spec.Cron, zone(s.Spec))
}

func note(text string) string {
	if text == "" {
		return "no note says why"
	}
	return text
}

func zone(s app.Spec) string {
	if s.Timezone == "" {
		return "UTC"
	}
	return s.Timezone
}

// Names lists the databases of a configuration.
func Names(cfg *config.Config) []string {
	var names []string
	for _, d := range cfg.Databases {
		names = append(names, d.Name)
	}
	return slices.Clip(names)
}
