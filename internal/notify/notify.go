package notify

import (
	"context"
	"crypto/x509"
	"sync"
	"time"

	"canvasback/internal/config"
	"canvasback/internal/job"
	"canvasback/internal/vfs"
)

// How long a run waits for those it tells. What was not sent by then is sent
// later, but for the start, which has no later.
const (
	startPatience = 20 * time.Second
	endPatience   = time.Minute
	// keepEvery is how often Keep looks for what is due.
	keepEvery = 30 * time.Second
)

// Outcomes of sending, as Observe gets them.
const (
	Sent    = "sent"
	Failed  = "failed"  // it will be tried again
	Dropped = "dropped" // given up: too old, or too many
)

// Notifier tells people about the runs of the databases of a configuration.
type Notifier struct {
	// Observe, if set, is called for each message that was sent or not: event is
	// start, ok, fail, failure or recovery; channel ping, webhook or command.
	Observe func(event, channel, outcome string)
	// Complain, if set, is told why a message was not sent.
	Complain func(database, event, channel string, err error)

	config *config.Config
	fs     vfs.FS
	clock  func() time.Time
	roots  *x509.CertPool // nil: the machine's
	pace   pace

	saying sync.Mutex // one call of Observe or Complain at a time

	mu    sync.Mutex        // guards known
	known map[string]*state // the newest record of each database
}

// pace is the times of trying again.
type pace struct {
	first, longest time.Duration // between two attempts of a run
	start, end     time.Duration // in all
	claim          time.Duration // beyond the time limit of one attempt
	poll           time.Duration // of what another process is sending
}

// New makes a Notifier. It opens nothing yet.
func New(cfg *config.Config) *Notifier {
	return &Notifier{
		config: cfg, fs: vfs.OS(), clock: time.Now, known: map[string]*state{},
		pace: pace{first: time.Second, longest: 15 * time.Second, start: startPatience, end: endPatience, claim: 5 * time.Second, poll: 200 * time.Millisecond},
	}
}

// Announce tells of the start or the end of a run. The error is that of ctx and
// nothing else: what could not be sent is in the result. An end that is announced
// again, for the same run, is not counted again, and what was sent is not sent
// again.
func (n *Notifier) Announce(ctx context.Context, in job.AnnounceInput) (job.AnnounceResult, error) {
	set := n.config.NotifyOf(in.Database)
	if set.Nobody() {
		return job.AnnounceResult{Nobody: true}, nil
	}
	if in.End == "" {
		return n.start(ctx, set, in), ctx.Err()
	}
	e := end{AnnounceInput: in, id: newID(), host: n.config.Host, now: n.clock().UTC(), set: set}
	if d, ok := n.config.Database(in.Database); ok {
		e.counts = d.Retention.CountStructure
	}
	if set.Events() {
		e.newest = n.newest(in.Database)
	}
	var dropped []letter
	n.edit(in.Database, func(s *state) bool {
		var changed bool
		changed, dropped = s.ended(e)
		return changed
	})
	n.observe(dropped, Dropped)
	return n.deliver(ctx, in.Database, delivery{patience: n.pace.end}), ctx.Err()
}

// start pings, where that is wanted. What was not said of the run before is
// no longer of use.
func (n *Notifier) start(ctx context.Context, set config.Notify, in job.AnnounceInput) job.AnnounceResult {
	var result job.AnnounceResult
	if set.Ping == nil || in.Task != job.AnnounceBackup {
		return result
	}
	if n.view(in.Database).first(ChannelPing, nil) >= 0 {
		n.edit(in.Database, (*state).dropPings)
	}
	l := letter{Event: PingStart, Channel: ChannelPing, Run: in.Run}
	ctx, cancel := context.WithTimeout(ctx, n.pace.start)
	defer cancel()
	for wait := n.pace.first; ; wait = min(2*wait, n.pace.longest) {
		err := n.send(ctx, set, &l)
		if err == errNotWanted {
			return result
		}
		if err == nil {
			n.tell(&result, in.Database, &l)
			return result
		}
		wait := max(wait, err.after)
		if err.final || !n.sleep(ctx, wait) {
			n.complain(&result, in.Database, &l, err)
			return result
		}
	}
}

// sleep waits, unless ctx ends before that: then it returns false at once.
func (n *Notifier) sleep(ctx context.Context, d time.Duration) bool {
	if end, ok := ctx.Deadline(); ok && time.Until(end) <= d {
		return false
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// tell notes that a letter was sent.
func (n *Notifier) tell(result *job.AnnounceResult, _ string, l *letter) {
	result.Told = append(result.Told, job.Told{Event: l.Event, Channel: l.Channel})
	n.observe([]letter{*l}, Sent)
}

// complain notes that it was not.
func (n *Notifier) complain(result *job.AnnounceResult, database string, l *letter, err error) {
	result.Untold = append(result.Untold, job.Undelivered{Event: l.Event, Channel: l.Channel, Error: err.Error()})
	n.observe([]letter{*l}, Failed)
	if n.Complain != nil {
		n.saying.Lock()
		defer n.saying.Unlock()
		n.Complain(database, l.Event, l.Channel, err)
	}
}

func (n *Notifier) observe(letters []letter, outcome string) {
	if n.Observe == nil {
		return
	}
	n.saying.Lock()
	defer n.saying.Unlock()
	for _, l := range letters {
		n.Observe(l.Event, l.Channel, outcome)
	}
}
