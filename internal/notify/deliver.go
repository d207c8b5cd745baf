package notify

import (
	"context"
	"slices"
	"sync"
	"time"

	"canvasback/internal/job"
)

// Times between the attempts of Keep.
const (
	firstPause   = time.Minute
	longestPause = time.Hour
)

// delivery says how hard to try.
type delivery struct {
	patience time.Duration // 0: one attempt for each letter
	due      bool          // only what is due
}

// deliver sends what is in the outbox of a database, each channel by itself
// and in order, so that one that hangs holds up no other.
func (n *Notifier) deliver(ctx context.Context, database string, how delivery) job.AnnounceResult {
	channels := []string{ChannelPing, ChannelWebhook, ChannelCommand}
	results := make([]job.AnnounceResult, len(channels))
	var wait sync.WaitGroup
	for i, channel := range channels {
		wait.Go(func() { results[i] = n.drain(ctx, database, channel, how) })
	}
	wait.Wait()
	var all job.AnnounceResult
	for _, r := range results {
		all.Told = append(all.Told, r.Told...)
		all.Untold = append(all.Untold, r.Untold...)
	}
	return all
}

// drain sends the letters to one channel. One that is refused for good is passed
// over; one that may be taken later holds up those behind it.
func (n *Notifier) drain(ctx context.Context, database, channel string, how delivery) (result job.AnnounceResult) {
	patience, cancel := ctx, context.CancelFunc(func() {})
	if how.patience > 0 {
		patience, cancel = context.WithTimeout(ctx, how.patience)
	}
	defer cancel()
	pass := map[string]bool{}
	var waiting *letter // that is to be tried again
	var why *sendError
	for wait, tried := n.pace.first, false; !tried || patience.Err() == nil; tried = true {
		l, busy := n.claim(database, channel, pass, how.due)
		if busy && how.patience > 0 && n.sleep(patience, n.pace.poll) {
			continue // another process is sending it: see what becomes of it
		}
		if l == nil {
			return result
		}
		waiting = nil
		err := n.send(ctx, n.config.NotifyOf(database), l)
		switch {
		case err == nil:
			n.settle(database, l)
			n.tell(&result, database, l)
			wait = n.pace.first
			continue
		case err == errNotWanted:
			n.settle(database, l)
			continue
		case ctx.Err() != nil:
			n.putOff(database, l, false)
			return result
		case !err.final && how.patience > 0:
			n.putOff(database, l, false)
			if n.sleep(patience, max(wait, err.after)) {
				waiting, why = l, err
				wait = min(2*wait, n.pace.longest)
				continue
			}
		}
		n.putOff(database, l, true)
		n.complain(&result, database, l, err)
		if !err.final {
			return result
		}
		pass[l.ID] = true
	}
	if waiting != nil {
		n.putOff(database, waiting, true)
		n.complain(&result, database, waiting, why)
	}
	return result
}

// claim takes the first letter to a channel for this process, for as long as
// sending it may take. busy: another has it.
func (n *Notifier) claim(database, channel string, pass map[string]bool, due bool) (claimed *letter, busy bool) {
	if n.view(database).first(channel, pass) < 0 {
		return nil, false
	}
	now := n.clock().UTC()
	longest := time.Duration(n.config.NotifyOf(database).Timeout) + n.pace.claim
	var dropped []letter
	n.edit(database, func(s *state) bool {
		claimed, busy = nil, false
		dropped = s.expire(now)
		i := s.first(channel, pass)
		if i < 0 || due && now.Before(s.Letters[i].Next) {
			return len(dropped) > 0
		}
		l := &s.Letters[i]
		// A claim from the future is that of a clock that was set back.
		if now.Before(l.Claimed) && l.Claimed.Sub(now) <= 2*longest {
			busy = true
			return len(dropped) > 0
		}
		l.Claimed = now.Add(longest)
		mine := *l
		claimed = &mine
		return true
	})
	n.observe(dropped, Dropped)
	return claimed, busy
}

func (n *Notifier) settle(database string, l *letter) {
	n.edit(database, func(s *state) bool { return s.sent(l.Channel, l.ID) })
}

// putOff gives a letter back; with later, Keep leaves it alone for a time that
// grows.
func (n *Notifier) putOff(database string, l *letter, later bool) {
	now := n.clock().UTC()
	n.edit(database, func(s *state) bool {
		i := s.index(l.Channel, l.ID)
		if i < 0 {
			return false
		}
		there := &s.Letters[i]
		there.Claimed = time.Time{}
		if later {
			there.Next = now.Add(min(firstPause<<min(there.Tries, 10), longestPause))
			there.Tries++
		}
		return true
	})
}

// Keep sends what could not be sent when it was due, until ctx ends.
func (n *Notifier) Keep(ctx context.Context) {
	tick := time.NewTicker(keepEvery)
	defer tick.Stop()
	for {
		n.sweep(ctx)
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// sweep tries once what is due.
func (n *Notifier) sweep(ctx context.Context) {
	now := n.clock()
	for _, d := range n.config.Databases {
		due := func(l letter) bool { return !now.Before(l.Next) && !now.Before(l.Claimed) }
		if ctx.Err() == nil && slices.ContainsFunc(n.view(d.Name).Letters, due) {
			n.deliver(ctx, d.Name, delivery{due: true})
		}
	}
}
