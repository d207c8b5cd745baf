package retention

import (
	"bufio"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "rewrite the golden files")

const divider = "----"

// TestTimelines reads the files of testdata/timelines: what there is above the
// line of dashes, below it what is decided, newest first. Longer runs of
// removals are one line. Each timeline is also lived through, pruned after every
// backup, which must come to the same.
func TestTimelines(t *testing.T) {
	files, err := filepath.Glob("testdata/timelines/*.txt")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			data, err := os.ReadFile(file)
			require.NoError(t, err)
			head, want, _ := strings.Cut(string(data), divider+"\n")
			s := readStory(t, head)
			got := s.tell()
			if *update {
				require.NoError(t, os.WriteFile(file, []byte(head+divider+"\n"+got), 0o644))
				return
			}
			assert.Equal(t, want, got)
		})
	}
}

// story is the upper part of a file.
type story struct {
	policy  Policy
	zone    *time.Location
	now     time.Time
	backups []Backup
}

func zone(t *testing.T, name string) *time.Location {
	t.Helper()
	loc, err := time.LoadLocation(name)
	require.NoError(t, err)
	return loc
}

func readStory(t *testing.T, head string) *story {
	t.Helper()
	s := &story{zone: time.UTC}
	scanner := bufio.NewScanner(strings.NewReader(head))
	for scanner.Scan() {
		line := strings.TrimSpace(scanner.Text())
		if words := strings.Fields(line); len(words) > 0 && !strings.HasPrefix(line, "#") {
			s.read(t, words)
		}
	}
	require.False(t, s.now.IsZero(), "no line that begins with now")
	return s
}

func (s *story) read(t *testing.T, words []string) {
	t.Helper()
	switch words[0] {
	case "zone":
		s.zone = zone(t, words[1])
		s.policy.Location = s.zone
	case "now":
		s.now = s.time(t, words[1])
	case "keep":
		s.keep(t, words[1], strings.Join(words[2:], " "))
	case "min_verified":
		s.policy.MinVerified = number(t, words[1])
	case "backup": // TIME STATE [TAG...]
		s.add(s.time(t, words[1]), words[2], words[3:]...)
	case "every": // STEP FROM TO STATE: a step of "1d" is a day of the zone
		days, daily := strings.CutSuffix(words[1], "d")
		step, err := time.ParseDuration(words[1])
		require.True(t, err == nil || daily, words[1])
		end := s.time(t, words[3])
		for at := s.time(t, words[2]); !at.After(end); {
			s.add(at, words[4])
			if daily {
				at = at.AddDate(0, 0, number(t, days))
			} else {
				at = at.Add(step)
			}
		}
	case "state", "pin": // TIME STATE; TIME OWNER AT UNTIL REASON
		at := s.time(t, words[1])
		i := slices.IndexFunc(s.backups, func(b Backup) bool { return b.Time.Equal(at) })
		require.GreaterOrEqual(t, i, 0, "no backup at %s", words[1])
		if words[0] == "state" {
			s.backups[i].State = words[2]
			return
		}
		s.backups[i].Pin = &Pin{Owner: words[2], At: s.time(t, words[3]), Until: s.time(t, words[4]), Reason: strings.Join(words[5:], " ")}
	default:
		t.Fatalf("a line that begins with %q", words[0])
	}
}

func (s *story) keep(t *testing.T, what, value string) {
	t.Helper()
	p := &s.policy
	numbers := map[string]*int{"last": &p.Last, "hourly": &p.Hourly, "daily": &p.Daily, "weekly": &p.Weekly, "monthly": &p.Monthly, "yearly": &p.Yearly}
	periods := map[string]*Period{"hourly": &p.WithinHourly, "daily": &p.WithinDaily, "weekly": &p.WithinWeekly, "monthly": &p.WithinMonthly, "yearly": &p.WithinYearly}
	period, ok := strings.CutPrefix(value, "within ")
	switch {
	case what == "tag":
		p.Tags = append(p.Tags, value)
	case what == "within":
		require.NoError(t, p.Within.Set(value))
	case ok:
		require.NoError(t, periods[what].Set(period))
	default:
		*numbers[what] = number(t, value)
	}
}

func number(t *testing.T, s string) int {
	t.Helper()
	n, err := strconv.Atoi(s)
	require.NoError(t, err)
	return n
}

// time reads a local time, or one with its offset where there are two.
func (s *story) time(t *testing.T, text string) time.Time {
	t.Helper()
	if at, err := time.Parse("2006-01-02T15:04Z07:00", text); err == nil {
		return at.In(s.zone)
	}
	at, err := time.ParseInLocation("2006-01-02T15:04", text, s.zone)
	require.NoError(t, err)
	return at
}

func (s *story) add(at time.Time, state string, tags ...string) {
	s.backups = append(s.backups, Backup{ID: fmt.Sprintf("%05d", len(s.backups)), Time: at, State: state, Tags: tags})
}

// tell is the lower part of the file.
func (s *story) tell() string {
	byID := map[string]Backup{}
	for _, b := range s.backups {
		byID[b.ID] = b
	}
	var text strings.Builder
	decisions := Decide(s.now, s.backups, s.policy)
	kept := 0
	for i := 0; i < len(decisions); {
		gone := i
		for gone < len(decisions) && !decisions[gone].Keep {
			gone++
		}
		if n := gone - i; n > 3 {
			fmt.Fprintf(&text, "       ... %d go, from %s back to %s\n", n, s.day(byID[decisions[i].ID]), s.day(byID[decisions[gone-1].ID]))
			i = gone
			continue
		}
		d := decisions[i]
		verb := "go  "
		if d.Keep {
			verb = "keep"
			kept++
		}
		fmt.Fprintf(&text, "%s   %s %-9s  %s\n", verb, s.day(byID[d.ID]), byID[d.ID].State, d.Reason)
		i++
	}
	fmt.Fprintf(&text, "%d of %d stay\n", kept, len(decisions))
	fmt.Fprintf(&text, "pruned after every backup: %s\n", s.live(keptIDs(decisions)))
	return text.String()
}

func (s *story) day(b Backup) string { return b.Time.In(s.zone).Format("Mon 2006-01-02 15:04 -0700") }

// live prunes after each backup, at its time, and compares what is left in the
// end with kept.
func (s *story) live(kept map[string]bool) string {
	var left []Backup
	most := 0
	prune := func(at time.Time) {
		most = max(most, len(left))
		stay := keptIDs(Decide(at, left, s.policy))
		left = slices.DeleteFunc(left, func(b Backup) bool { return !stay[b.ID] })
	}
	for _, b := range slices.Backward(newestFirst(s.backups)) {
		left = append(left, b)
		if !b.Time.After(s.now) {
			prune(b.Time)
		}
	}
	prune(s.now)
	there := map[string]bool{}
	only := []string{}
	for _, b := range left {
		there[b.ID] = true
		if !kept[b.ID] {
			only = append(only, s.day(b)+" stays too")
		}
	}
	for _, b := range s.backups {
		if kept[b.ID] && !there[b.ID] {
			only = append(only, s.day(b)+" is gone")
		}
	}
	if len(only) > 0 {
		return strings.Join(only, ", ")
	}
	return fmt.Sprintf("the same, never more than %d at a time", most)
}
