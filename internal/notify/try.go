package notify

import (
	"context"
	"crypto/rand"
	"encoding/hex"

	"canvasback/internal/config"
	"canvasback/internal/job"
)

// Tried is the outcome of a test message.
type Tried struct {
	Channel string
	To      string // scheme and host, or the program
	Err     error  // nil: it was taken
	Skipped string // why nothing was sent; empty: it was
}

// Try sends one test message to everyone who is told of a database, once. The
// dead-man service gets a log entry, which is neither ok nor a failure; where
// only explicit URLs are named, each of which would count, it gets nothing.
func (n *Notifier) Try(ctx context.Context, database string) []Tried {
	set := n.config.NotifyOf(database)
	var all []Tried
	now := n.clock().UTC()
	p := &Payload{
		Schema: schema, ID: newID(), Event: EventTest, At: now, Host: n.config.Host, Database: database, Step: job.AnnounceBackup,
		RunID: newUUID(), Started: now, Since: now, Message: "a test of the notifications", Newest: n.newest(database), Tool: tool(),
	}
	if set.Ping != nil {
		all = append(all, n.tryPing(ctx, set, p))
	}
	for _, channel := range eventChannels(set) {
		t := Tried{Channel: channel}
		if channel == ChannelCommand {
			t.To = set.Command[0]
		} else if to, err := secretURL(set.Webhook.URL, set.Webhook.URLFile); err == nil {
			t.To = to.String()
		}
		if err := n.send(ctx, set, &letter{Event: EventTest, Channel: channel, Payload: p}); err != nil {
			t.Err = err
		}
		n.observe([]letter{{Event: EventTest, Channel: channel}}, outcomeOf(t.Err))
		all = append(all, t)
	}
	return all
}

func (n *Notifier) tryPing(ctx context.Context, set config.Notify, p *Payload) Tried {
	t := Tried{Channel: ChannelPing}
	to, err := secretURL(set.Ping.URL, set.Ping.URLFile)
	switch {
	case err != nil:
		t.Err = err
	case to == "":
		t.Skipped = "a ping to a URL that is named for start, ok or fail would count"
	default:
		t.To = to.String()
		if err := n.send(ctx, set, &letter{Event: pingLog, Channel: ChannelPing, Run: p.RunID, Text: p.Message}); err != nil {
			t.Err = err
		}
		n.observe([]letter{{Event: EventTest, Channel: ChannelPing}}, outcomeOf(t.Err))
	}
	return t
}

func outcomeOf(err error) string {
	if err != nil {
		return Failed
	}
	return Sent
}

// newUUID names a run that no server has named.
func newUUID() string {
	var b [16]byte
	rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	h := hex.EncodeToString(b[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}
