package notify

import (
	"crypto/rand"
	"time"

	"canvasback/internal/config"
	"canvasback/internal/job"
	"canvasback/internal/repo"
)

// end is all that is known of the end of a run.
type end struct {
	job.AnnounceInput
	id     string // of the event, if it comes to one
	host   string
	now    time.Time
	set    config.Notify
	counts bool // an unverified backup counts by the configuration
	newest *Newest
}

// failed tells whether people are to know the run as a failure; it fills in why.
func (e *end) failed() bool {
	if e.End == job.AnnounceFailed {
		return true
	}
	if e.Task != job.AnnounceBackup || e.State == string(repo.StateVerified) || e.counts {
		return false
	}
	e.Kind, e.Message = KindNotVerified, "backup "+e.Backup+" of "+e.Database+" is "+e.State+", not verified"
	if e.Reason != "" {
		e.Message += ": " + e.Reason
	}
	return true
}

// ended takes note of how a run ended, once for each run, and writes the
// letters that come of it. It reports whether the record changed.
func (s *state) ended(e end) (changed bool, dropped []letter) {
	c := s.condition(e.Task)
	if !c.count(e.Run) {
		return false, nil
	}
	failed := e.failed()
	letters := e.ping(failed)
	switch {
	case failed:
		letters = append(letters, c.failure(e)...)
	default:
		letters = append(letters, c.recovery(e)...)
	}
	return true, s.post(letters...)
}

// ping is what the dead-man service is told at the end of a backup: nothing of
// one that is not verified, though it may count.
func (e *end) ping(failed bool) []letter {
	if e.Task != job.AnnounceBackup || e.set.Ping == nil {
		return nil
	}
	l := letter{ID: "ping-" + e.id, Channel: ChannelPing, At: e.now, Run: e.Run}
	switch {
	case failed:
		l.Event, l.Text = PingFail, e.Kind+": "+e.Message
	case e.State == string(repo.StateVerified):
		l.Event, l.Text = PingOK, "backup "+e.Backup+" of "+e.Database+" is verified"
	default:
		return nil
	}
	return []letter{l}
}

func (c *condition) failure(e end) []letter {
	c.Failures++
	if c.Failures == 1 {
		c.Since = e.Started
	}
	remind := time.Duration(*e.set.Remind)
	reminder := !c.Told.IsZero()
	if reminder && (remind == 0 || e.now.Sub(c.Told) < remind) {
		return nil
	}
	p := e.payload(EventFailure, c)
	p.Reminder, p.Kind, p.Message, p.Hint = reminder, e.Kind, e.Message, e.Hint
	letters := e.letters(p)
	if len(letters) > 0 {
		c.Told = e.now
	}
	return letters
}

// recovery is told where the failure was.
func (c *condition) recovery(e end) []letter {
	was := *c
	c.Failures, c.Since, c.Told = 0, time.Time{}, time.Time{}
	if was.Told.IsZero() {
		return nil
	}
	return e.letters(e.payload(EventRecovery, &was))
}

func (e *end) payload(event string, c *condition) *Payload {
	return &Payload{
		Schema: schema, ID: e.id, Event: event, At: e.now, Host: e.host, Database: e.Database, Step: e.Task,
		WorkflowID: e.WorkflowID, RunID: e.Run, Started: e.Started, Backup: e.Backup,
		Since: c.Since, Failures: c.Failures, Newest: e.newest, Tool: tool(),
	}
}

// letters are those to everyone who is told of events.
func (e *end) letters(p *Payload) []letter {
	var letters []letter
	for _, channel := range eventChannels(e.set) {
		letters = append(letters, letter{ID: p.ID, Event: p.Event, Channel: channel, At: p.At, Run: p.RunID, Payload: p})
	}
	return letters
}

func eventChannels(set config.Notify) []string {
	var channels []string
	if set.Webhook != nil {
		channels = append(channels, ChannelWebhook)
	}
	if len(set.Command) > 0 {
		channels = append(channels, ChannelCommand)
	}
	return channels
}

func newID() string { return rand.Text() }
