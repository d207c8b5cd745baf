package fleettest

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// rhythm is when schedules fall due, before jitter: all whole multiples of every
// since 1970, and offset later.
type rhythm struct{ every, offset time.Duration }

// soon puts the next time into the near future, at a full minute, with time to
// make n schedules before. Intervals of less than a minute stay as they are.
func (r *rhythm) soon(now time.Time, n int) {
	if r.every >= time.Minute {
		ready := now.Add(90*time.Second + time.Duration(n)*100*time.Millisecond)
		r.offset = time.Duration(ready.Unix()/60*60) * time.Second % r.every
	}
}

// after is the first time later than t.
func (r rhythm) after(t time.Time) time.Time {
	k := t.Add(-r.offset).UnixNano()/int64(r.every) + 1
	return time.Unix(0, k*int64(r.every)).Add(r.offset).UTC()
}

// cron is the rhythm as an expression for the schedules.
func (r rhythm) cron() string {
	if r.every < time.Minute {
		return "@every " + r.every.String()
	}
	var minutes []string
	for m := r.offset; m < time.Hour; m += r.every {
		minutes = append(minutes, fmt.Sprint(int(m.Minutes())))
	}
	return strings.Join(minutes, ",") + " * * * *"
}

func TestRhythm(t *testing.T) {
	at := time.Date(2026, 11, 26, 4, 48, 40, 0, time.UTC)
	r := rhythm{every: 15 * time.Minute}
	r.soon(at, 0)
	assert.Equal(t, "5,20,35,50 * * * *", r.cron())
	assert.Equal(t, time.Date(2026, 11, 26, 4, 50, 0, 0, time.UTC), r.after(at))
	assert.Equal(t, time.Date(2026, 11, 26, 5, 5, 0, 0, time.UTC), r.after(r.after(at)))
	r = rhythm{every: time.Hour}
	r.soon(at, 0)
	assert.Equal(t, "50 * * * *", r.cron())
	r = rhythm{every: 20 * time.Second}
	r.soon(at, 0)
	assert.Equal(t, "@every 20s", r.cron())
	assert.Equal(t, at.Add(20*time.Second), r.after(at))
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}
