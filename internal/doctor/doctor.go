package doctor

import (
	"context"
	"fmt"
	"time"

	"canvasback/internal/config"
	"canvasback/internal/engine"
	"canvasback/internal/vfs"
)

// Status is the outcome of a check.
type Status string

// The outcomes. Warn is something that works today, or is a matter of choice;
// Fail is something because of which backups will not be taken, will not count
// or cannot be trusted.
const (
	OK      Status = "ok"
	Warn    Status = "warn"
	Fail    Status = "fail"
	Skipped Status = "skipped"
)

// Finding is what one check saw. Check is a stable name, such as
// "database.owner".
type Finding struct {
	Check    string `json:"check"`
	Database string `json:"database,omitempty"`
	Status   Status `json:"status"`
	Found    string `json:"found"`
	Mend     string `json:"mend,omitempty"` // a command or a line of the configuration
}

// Report is all that was seen.
type Report struct {
	Findings []Finding `json:"findings"`
	Counts   Counts    `json:"counts"`
}

// Counts says how many findings have which status.
type Counts struct {
	OK      int `json:"ok"`
	Warn    int `json:"warn"`
	Fail    int `json:"fail"`
	Skipped int `json:"skipped"`
}

// NewReport counts the findings.
func NewReport(findings []Finding) *Report {
	r := &Report{Findings: findings}
	for _, f := range findings {
		switch f.Status {
		case OK:
			r.Counts.OK++
		case Warn:
			r.Counts.Warn++
		case Fail:
			r.Counts.Fail++
		case Skipped:
			r.Counts.Skipped++
		}
	}
	return r
}

// Checkup is the set-up of one host.
type Checkup struct {
	FS     vfs.FS
	Config *config.Config
	// Version is that of the linked engine, "v1.5.6"; empty where it does not
	// start, which a check of its own reports.
	Version string
	Now     func() time.Time
}

// NewCheckup asks the linked engine for its version.
func NewCheckup(ctx context.Context, cfg *config.Config) *Checkup {
	c := &Checkup{FS: vfs.OS(), Config: cfg, Now: time.Now}
	c.Version, _ = engine.Linked(ctx)
	return c
}

// Local is everything that can be seen without a Temporal server.
func (c *Checkup) Local(ctx context.Context) []Finding {
	findings := append([]Finding{c.user()}, c.configFile()...)
	findings = append(findings, c.repository()...)
	for i := range c.Config.Databases {
		s := c.subject(&c.Config.Databases[i])
		findings = append(findings, s.checks(ctx)...)
	}
	return append(findings, c.kernelClock())
}

// finding makes one; mend may be empty.
func finding(check string, status Status, mend, format string, args ...any) Finding {
	return Finding{Check: check, Status: status, Found: fmt.Sprintf(format, args...), Mend: mend}
}
