package retention

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

var states = []string{stateVerified, stateVerified, stateVerified, stateCopied, stateStructure, stateFailed, stateRotten, "strange"}

var steps = []time.Duration{0, time.Minute, time.Hour, 7 * time.Hour, 24 * time.Hour, 24 * time.Hour, 6 * 24 * time.Hour, 40 * 24 * time.Hour, 400 * 24 * time.Hour}

// randomBackups makes up to 20, the newest of them around now, some after it.
func randomBackups(rng *rand.Rand) []Backup {
	backups := make([]Backup, rng.IntN(20))
	at := now.Add(time.Duration(rng.IntN(100)-20) * -time.Hour)
	for i := range backups {
		backups[i] = Backup{ID: fmt.Sprintf("b%02d", 99-i), Time: at, State: states[rng.IntN(len(states))]}
		if rng.IntN(4) == 0 {
			backups[i].Tags = []string{[]string{"x", "y"}[rng.IntN(2)]}
		}
		if rng.IntN(8) == 0 {
			backups[i].Pin = randomPin(rng, at)
		}
		at = at.Add(-steps[rng.IntN(len(steps))])
	}
	return backups
}

func randomPin(rng *rand.Rand, at time.Time) *Pin {
	p := &Pin{Owner: "ann", Reason: "why", At: at.Add(time.Duration(rng.IntN(100)-10) * time.Hour)}
	if rng.IntN(3) > 0 {
		p.Until = p.At.Add(time.Duration(rng.IntN(200)) * time.Hour)
	}
	return p
}

// randomPolicy is never an empty one.
func randomPolicy(rng *rand.Rand) Policy {
	n := func() int { return max(rng.IntN(10)-6, 0) }
	period := func() (p Period) {
		if rng.IntN(4) == 0 {
			p = randomPeriod(rng)
		}
		return p
	}
	for {
		p := Policy{
			Last: n(), Hourly: n(), Daily: n(), Weekly: n(), Monthly: n(), Yearly: n(),
			Within: period(), WithinHourly: period(), WithinDaily: period(), WithinWeekly: period(), WithinMonthly: period(), WithinYearly: period(),
			MinVerified: rng.IntN(4), CountStructure: rng.IntN(4) == 0,
		}
		if rng.IntN(3) == 0 {
			p.Tags = []string{"x"}
		}
		if !p.Empty() {
			return p
		}
	}
}

func randomPeriod(rng *rand.Rand) Period {
	return Period{Years: rng.IntN(2), Months: rng.IntN(3), Days: rng.IntN(20), Hours: rng.IntN(30)}
}

// larger makes one thing of the policy larger.
func larger(rng *rand.Rand, p Policy) Policy {
	numbers := []*int{&p.Last, &p.Hourly, &p.Daily, &p.Weekly, &p.Monthly, &p.Yearly}
	periods := []*Period{&p.Within, &p.WithinHourly, &p.WithinDaily, &p.WithinWeekly, &p.WithinMonthly, &p.WithinYearly}
	switch i := rng.IntN(14); {
	case i < 6:
		switch n := numbers[i]; {
		case rng.IntN(5) == 0:
			*n = -1
		case *n >= 0:
			*n += 1 + rng.IntN(3)
		}
	case i < 12:
		more := randomPeriod(rng)
		d := periods[i-6]
		*d = Period{d.Years + more.Years, d.Months + more.Months, d.Days + more.Days, d.Hours + more.Hours}
	case i == 12:
		p.MinVerified++
	default:
		p.Tags = append(slices.Clone(p.Tags), "y")
	}
	return p
}

func keptIDs(decisions []Decision) map[string]bool {
	kept := map[string]bool{}
	for _, d := range decisions {
		if d.Keep {
			kept[d.ID] = true
		}
	}
	return kept
}
