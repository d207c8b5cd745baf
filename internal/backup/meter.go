package backup

import (
	"time"

	"canvasback/internal/job"
)

// meter turns counts into progress with a rate, over the last few seconds.
type meter struct {
	step  string
	to    func(job.Progress)
	phase string
	rule  string // that a copy is headed for
	marks []point
}

type point struct {
	at   time.Time
	done int64
}

const meterWindow = 5 * time.Second

func newMeter(step string, to func(job.Progress)) *meter {
	if to == nil {
		to = func(job.Progress) {}
	}
	return &meter{step: step, to: to}
}

func (m *meter) report(phase string, attempt int, done, total int64) {
	now := time.Now()
	if n := len(m.marks); phase != m.phase || n > 0 && done < m.marks[n-1].done {
		m.phase, m.marks = phase, nil
	}
	if n := len(m.marks); n == 0 || now.Sub(m.marks[n-1].at) > meterWindow/20 {
		m.marks = append(m.marks, point{now, done})
	}
	for len(m.marks) > 2 && now.Sub(m.marks[0].at) > meterWindow {
		m.marks = m.marks[1:]
	}
	p := job.Progress{Step: m.step, Phase: phase, Rule: m.rule, Attempt: attempt, Done: done, Total: total, At: now.UTC()}
	if d := now.Sub(m.marks[0].at).Seconds(); d > 0 {
		p.Rate = float64(done-m.marks[0].done) / d
	}
	m.to(p)
}
