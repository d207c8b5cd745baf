package notify

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

const (
	// keptRuns is how many runs are remembered, so that a run that is announced
	// once more is not counted twice.
	keptRuns = 16
	// keptLetters bounds what waits for one channel; the oldest go.
	keptLetters = 16
	// What could not be sent for so long is given up. A ping is of use for a
	// short time only: an old ok would stand for a run that was not.
	eventExpires = 7 * 24 * time.Hour
	pingExpires  = 6 * time.Hour
)

// state is the record of a database.
type state struct {
	Schema   int                   `json:"schema"`
	Revision int64                 `json:"revision"` // counts the changes
	Tasks    map[string]*condition `json:"tasks"`
	Letters  []letter              `json:"letters"`
}

// condition is how the runs of one task have been going.
type condition struct {
	Runs     []string  `json:"runs"` // counted, the newest last
	Failures int       `json:"failures"`
	Since    time.Time `json:"since"`
	Told     time.Time `json:"told"` // when the failure was last put into letters; zero: it was not
}

// letter is one message to one channel that was not sent yet.
type letter struct {
	ID      string    `json:"id"`
	Event   string    `json:"event"`
	Channel string    `json:"channel"`
	At      time.Time `json:"at"`
	Run     string    `json:"run"`
	Text    string    `json:"text,omitempty"`    // of a ping
	Payload *Payload  `json:"payload,omitempty"` // of an event
	Tries   int       `json:"tries"`
	Next    time.Time `json:"next"`    // not before, unless by a run
	Claimed time.Time `json:"claimed"` // until then a process is sending it
}

func (l *letter) task() string {
	if l.Payload == nil {
		return ""
	}
	return l.Payload.Step
}

func (l *letter) expired(now time.Time) bool {
	age := eventExpires
	if l.Channel == ChannelPing {
		age = pingExpires
	}
	return now.Sub(l.At) > age
}

func newState() *state { return &state{Schema: schema, Tasks: map[string]*condition{}} }

// decode reads a record. One that cannot be read, or is of a later release, is
// taken for none: then what goes on is told again, never left out.
func decode(data []byte) *state {
	if data == nil {
		return newState()
	}
	s := newState()
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(s); err != nil || s.Schema != schema || s.Tasks == nil {
		return newState()
	}
	for task, c := range s.Tasks {
		if c == nil {
			delete(s.Tasks, task)
		}
	}
	return s
}

func (s *state) encode() ([]byte, error) {
	data, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("the record of what was told: %w", err)
	}
	return append(data, '\n'), nil
}

// clone is a copy that shares nothing.
func (s *state) clone() *state {
	data, err := s.encode()
	if err != nil {
		return newState()
	}
	return decode(data)
}

func (s *state) condition(task string) *condition {
	c := s.Tasks[task]
	if c == nil {
		c = &condition{}
		s.Tasks[task] = c
	}
	return c
}

// count notes the run, unless it was already.
func (c *condition) count(run string) bool {
	if slices.Contains(c.Runs, run) {
		return false
	}
	c.Runs = append(c.Runs, run)
	c.Runs = c.Runs[max(0, len(c.Runs)-keptRuns):]
	return true
}

// post puts letters at the end of the outbox and drops what is too much. A ping
// takes the place of an older one.
func (s *state) post(letters ...letter) (dropped []letter) {
	for _, l := range letters {
		if l.Channel == ChannelPing {
			s.dropPings()
		}
		s.Letters = append(s.Letters, l)
		waiting := 0
		for _, other := range s.Letters {
			if other.Channel == l.Channel {
				waiting++
			}
		}
		if waiting > keptLetters {
			i := s.first(l.Channel, nil)
			dropped = append(dropped, s.Letters[i])
			s.Letters = slices.Delete(s.Letters, i, i+1)
		}
	}
	return dropped
}

// dropPings takes out what was not said of earlier runs.
func (s *state) dropPings() bool {
	n := len(s.Letters)
	s.Letters = slices.DeleteFunc(s.Letters, func(l letter) bool { return l.Channel == ChannelPing })
	return len(s.Letters) < n
}

// first is the index of the first letter to a channel that is not passed over,
// -1 if there is none.
func (s *state) first(channel string, pass map[string]bool) int {
	return slices.IndexFunc(s.Letters, func(l letter) bool { return l.Channel == channel && !pass[l.ID] })
}

func (s *state) index(channel, id string) int {
	return slices.IndexFunc(s.Letters, func(l letter) bool { return l.Channel == channel && l.ID == id })
}

// sent takes a letter out, with those about the same task that were passed over
// before it: they would be old news.
func (s *state) sent(channel, id string) bool {
	i := s.index(channel, id)
	if i < 0 {
		return false
	}
	task := s.Letters[i].task()
	kept := s.Letters[:0]
	for j, l := range s.Letters {
		if j > i || l.Channel != channel || l.task() != task {
			kept = append(kept, l)
		}
	}
	s.Letters = kept
	return true
}

// expire takes out what is too old.
func (s *state) expire(now time.Time) (dropped []letter) {
	s.Letters = slices.DeleteFunc(s.Letters, func(l letter) bool {
		if l.expired(now) {
			dropped = append(dropped, l)
			return true
		}
		return false
	})
	return dropped
}
