package notify

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"canvasback/internal/config"
	"canvasback/internal/job"
)

// A sequence of runs, an hour apart, and what is told of each.
func TestWhatIsTold(t *testing.T) {
	day, never := config.Duration(24*time.Hour), config.Duration(0)
	drill := func(in job.AnnounceInput) job.AnnounceInput { in.Task = job.AnnounceDrill; return in }
	structure := verified("")
	structure.State, structure.Reason = "structure", "the engine is too old"
	tests := []struct {
		name   string
		remind config.Duration
		counts bool
		runs   []job.AnnounceInput
		every  time.Duration
		want   []string // of each run
	}{
		{"nothing of what goes well", day, false, []job.AnnounceInput{verified(""), verified("")}, time.Hour, []string{"ok", "ok"}},
		{"once when it begins and once when it ends", day, false,
			[]job.AnnounceInput{failed(""), failed(""), failed(""), verified(""), verified(""), failed("")}, time.Hour,
			[]string{"fail failure 1", "fail", "fail", "ok recovery 3", "ok", "fail failure 1"}},
		{"again after a day", day, false, []job.AnnounceInput{failed(""), failed(""), failed(""), failed(""), verified("")}, 12 * time.Hour,
			[]string{"fail failure 1", "fail", "fail failure 3 again", "fail", "ok recovery 4"}},
		{"never again", never, false, []job.AnnounceInput{failed(""), failed(""), verified("")}, 1000 * time.Hour, []string{"fail failure 1", "fail", "ok recovery 2"}},
		{"not verified is a failure", day, false, []job.AnnounceInput{structure, verified("")}, time.Hour, []string{"fail failure 1", "ok recovery 1"}},
		{"not verified, but it counts: never ok", day, true, []job.AnnounceInput{structure, failed(""), structure}, time.Hour, []string{"", "fail failure 1", "recovery 1"}},
		{"drills are counted apart and are not pinged", day, false,
			[]job.AnnounceInput{drill(failed("")), failed(""), verified(""), drill(failed("")), drill(verified(""))}, time.Hour,
			[]string{"failure 1", "fail failure 1", "ok recovery 1", "", "recovery 2"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, now := newState(), began
			for i, in := range tt.runs {
				in.Run = fmt.Sprintf("r%d", i)
				e := end{AnnounceInput: in, id: in.Run, host: "db1", now: now, counts: tt.counts,
					set: config.Notify{Ping: &config.Ping{URL: "https://hc.example/x"}, Command: []string{"tell"}, Remind: &tt.remind}}
				changed, dropped := s.ended(e)
				assert.True(t, changed)
				assert.Empty(t, dropped)
				got := ""
				for _, l := range s.Letters {
					got += " " + l.Event
					if l.Payload != nil {
						got += fmt.Sprintf(" %d", l.Payload.Failures)
						if l.Payload.Reminder {
							got += " again"
						}
						assert.Equal(t, l.Payload.Kind == "", l.Event == EventRecovery)
					}
				}
				assert.Equal(t, tt.want[i], trim(got), "run %d", i)
				s.Letters = nil
				before := s.clone()
				changed, _ = s.ended(e)
				assert.False(t, changed, "once more, the same run")
				assert.Equal(t, before, s.clone())
				now = now.Add(tt.every)
			}
		})
	}
}

func trim(s string) string {
	if s == "" {
		return s
	}
	return s[1:]
}

// A webhook that is configured while runs fail hears of it, and one that came
// after hears of no recovery from what nobody was told.
func TestWhoIsToldLater(t *testing.T) {
	remind := config.Duration(time.Hour)
	nobody := config.Notify{Remind: &remind}
	somebody := config.Notify{Remind: &remind, Command: []string{"tell"}}
	s := newState()
	s.ended(end{AnnounceInput: failed("r1"), set: nobody, now: began})
	s.ended(end{AnnounceInput: failed("r2"), set: somebody, now: began})
	require.Len(t, s.Letters, 1)
	assert.Equal(t, 2, s.Letters[0].Payload.Failures)
	assert.False(t, s.Letters[0].Payload.Reminder)

	s = newState()
	s.ended(end{AnnounceInput: failed("r1"), set: nobody, now: began})
	s.ended(end{AnnounceInput: verified("r2"), set: somebody, now: began})
	assert.Empty(t, s.Letters)
}

func TestOutboxIsBounded(t *testing.T) {
	s := newState()
	for i := range keptLetters + 3 {
		dropped := s.post(letter{ID: fmt.Sprint(i), Channel: ChannelWebhook}, letter{ID: fmt.Sprint(i), Channel: ChannelPing})
		assert.Len(t, dropped, max(0, min(1, i+1-keptLetters)))
	}
	assert.Equal(t, "3", s.Letters[s.first(ChannelWebhook, nil)].ID, "the oldest went")
	assert.Equal(t, fmt.Sprint(keptLetters+2), s.Letters[s.first(ChannelPing, nil)].ID, "only the newest ping is kept")
	require.Len(t, s.Letters, keptLetters+1)

	for _, c := range []*condition{s.condition("backup")} {
		for i := range keptRuns + 1 {
			assert.True(t, c.count(fmt.Sprint(i)))
		}
		assert.False(t, c.count("1"))
		assert.True(t, c.count("0"), "it is forgotten")
	}
}

func TestSentTakesOldNewsAlong(t *testing.T) {
	about := func(task string) *Payload { return &Payload{Step: task} }
	s := newState()
	s.post(
		letter{ID: "1", Channel: ChannelWebhook, Payload: about("backup")}, letter{ID: "1", Channel: ChannelCommand, Payload: about("backup")},
		letter{ID: "2", Channel: ChannelWebhook, Payload: about("drill")}, letter{ID: "3", Channel: ChannelWebhook, Payload: about("backup")},
		letter{ID: "4", Channel: ChannelWebhook, Payload: about("backup")})
	assert.True(t, s.sent(ChannelWebhook, "3"))
	assert.False(t, s.sent(ChannelWebhook, "3"))
	var left []string
	for _, l := range s.Letters {
		left = append(left, l.Channel+" "+l.ID)
	}
	assert.Equal(t, []string{"command 1", "webhook 2", "webhook 4"}, left)
}

func TestRecordsThatCannotBeRead(t *testing.T) {
	good := newState()
	good.condition("backup").Failures = 7
	data, err := good.encode()
	require.NoError(t, err)
	assert.Equal(t, good, decode(data))
	for _, text := range []string{"", "{", "null", "[]", `{"schema":2,"revision":1,"tasks":{},"letters":[]}`, `{"schema":1,"more":1}`, `{"schema":1,"tasks":null}`} {
		assert.Equal(t, newState(), decode([]byte(text)), text)
	}
	assert.Empty(t, decode([]byte(`{"schema":1,"tasks":{"backup":null}}`)).Tasks)
}
