package workflows

import (
	"fmt"
	"strings"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"canvasback/internal/human"
	"canvasback/internal/job"
)

// story is what people read of a run in the Temporal UI: its current details,
// which grow with each step, and the answer to job.ProgressQuery. It takes part
// in nothing that the run does.
type story struct {
	database string
	job.RunProgress
}

// begin starts the story of a run, which people call title.
func begin(ctx workflow.Context, title, database string) (*story, error) {
	s := &story{database: database, RunProgress: job.RunProgress{Title: title + " of " + database, Steps: []job.RunStep{}}}
	err := workflow.SetQueryHandler(ctx, job.ProgressQuery, func() (job.RunProgress, error) { return s.RunProgress, nil })
	if err != nil {
		return nil, fmt.Errorf("answer the query %s: %w", job.ProgressQuery, err)
	}
	return s, nil
}

// step names what runs now.
func (s *story) step(ctx workflow.Context, options workflow.ActivityOptions, name string) workflow.Context {
	options.Summary = name + " " + s.database
	now := workflow.Now(ctx)
	s.Step, s.Since = name, &now
	s.Steps = append(s.Steps, job.RunStep{Step: name, Began: now})
	s.show(ctx)
	return workflow.WithActivityOptions(ctx, options)
}

// done says what the step at work came to, which is the error where there is
// one.
func (s *story) done(ctx workflow.Context, err error, format string, args ...any) {
	last := &s.Steps[len(s.Steps)-1]
	s.Step, s.Since = "", nil
	last.Seconds = workflow.Now(ctx).Sub(last.Began).Seconds()
	switch {
	case err == nil:
		last.Result = fmt.Sprintf(format, args...)
	case temporal.IsCanceledError(err):
		last.Result, last.Failed = stoppedStep, true
	default:
		_, message := cause(err)
		last.Result, _, _ = strings.Cut(message, job.HintMark)
		last.Failed = true
	}
	s.show(ctx)
}

// end says what the run came to, which is why it failed where it did.
func (s *story) end(ctx workflow.Context, err error, format string, args ...any) {
	s.Ended = true
	switch {
	case err == nil:
		s.Verdict = fmt.Sprintf(format, args...)
	case temporal.IsCanceledError(err):
		s.Verdict = s.stopped(stopReason(err))
	default:
		_, message := describe(err)
		what, hint, _ := strings.Cut(message, job.HintMark)
		s.Verdict = "It **failed**:\n\n" + quote(what)
		if hint != "" {
			s.Verdict += "\n\n**What to do:** " + plain(hint)
		}
	}
	s.show(ctx)
}

// stopped is the verdict on a run that was stopped, for that reason.
func (s *story) stopped(why string) string {
	verdict := "It was **stopped**, and what it had staged is removed."
	if n := len(s.Steps); n > 0 && s.Steps[n-1].Failed && s.Steps[n-1].Result != stoppedStep {
		verdict = "It was **stopped**. What it had staged could not be removed: a later run sweeps it."
	}
	if why != "" {
		verdict += "\n\n" + quote(why)
	}
	return verdict + "\n\n**What to do:** nothing; a new run may begin at any time."
}

func (s *story) show(ctx workflow.Context) { workflow.SetCurrentDetails(ctx, details(s.RunProgress)) }

// stoppedStep is the result of a step that was stopped.
const stoppedStep = "stopped"

// maxCell bounds what one step may say, in bytes; all steps of a run stay far
// below the 20,000 that the server takes.
const maxCell = 600

// gap is an em space, which Markdown leaves alone: the Temporal UI draws the cells
// of a table without room between them.
const gap = "\u2003"

// details is a run in Markdown.
func details(p job.RunProgress) string {
	var b strings.Builder
	b.WriteString(fmt.Sprintf("**%s**", plain(p.Title)))
	if n := len(p.Steps); !p.Ended && n > 0 {
		b.WriteString(fmt.Sprintf(": now %s", p.Steps[n-1].Step))
	}
	if p.Verdict != "" {
		b.WriteString("\n\n" + p.Verdict)
	}
	if len(p.Steps) == 0 {
		return b.String()
	}
	b.WriteString("\n\n| step | began (UTC) | took | |\n|---|---|---|---|\n")
	for _, s := range p.Steps {
		took, result := human.Seconds(s.Seconds), plain(s.Result)
		switch {
		case s.Failed:
			result = "**failed**: " + result
		case s.Result == "":
			took, result = "", "at work"
		}
		b.WriteString(fmt.Sprintf("| %s%[5]s | %[2]s%[5]s | %[3]s%[5]s | %[4]s |\n", s.Step, s.Began.UTC().Format(time.TimeOnly), took, result, gap))
	}
	return b.String()
}

// marks are what Markdown and HTML would read as something else. The Temporal UI
// shows entities as they are written, and takes backslashes.
var marks = strings.NewReplacer("\\", "\\\\", "`", "\\`", "*", "\\*", "_", "\\_", "[", "\\[", "]", "\\]", "<", "\\<", ">", "\\>",
	"|", "\\|", "~", "\\~", "#", "\\#", "\r", "", "\n", " ")

// plain writes text from outside as one line that means only itself.
func plain(text string) string { return marks.Replace(cut(text)) }

// quote writes text from outside as a paragraph of its own.
func quote(text string) string {
	var lines []string
	for line := range strings.Lines(cut(text)) {
		lines = append(lines, "> "+marks.Replace(strings.TrimRight(line, "\n")))
	}
	return strings.Join(lines, "\n")
}

func cut(text string) string {
	if len(text) <= maxCell {
		return text
	}
	return strings.ToValidUTF8(text[:maxCell], "") + " ..."
}
