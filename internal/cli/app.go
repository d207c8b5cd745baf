package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"

	"canvasback/internal/failure"
)

// app is what the commands of one invocation share.
type app struct {
	ctx    context.Context
	in     io.Reader
	out    io.Writer // results only
	errOut io.Writer // everything else
	json   bool      // --json
	logged bool      // log lines tell how it goes, so nothing is drawn
	now    func() time.Time

	started bool // a command's own code has begun: later errors are not about usage
	printed bool // the one result is out
	ends    bool // an interrupt is how the command is meant to end
}

// Main runs the command line args (without the program's name) and returns
// the exit status. It never exits the process. Cancelling ctx interrupts the
// command, which then returns failure.ExitInterrupted.
func Main(ctx context.Context, args []string, in io.Reader, out, errOut io.Writer) int {
	return MainAt(ctx, time.Now, args, in, out, errOut)
}

// MainAt is Main by another clock, which ages and waits are told by.
func MainAt(ctx context.Context, now func() time.Time, args []string, in io.Reader, out, errOut io.Writer) int {
	a := &app{ctx: ctx, in: in, out: out, errOut: errOut, now: now}
	root := newRoot(a)
	root.SetArgs(args)
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(errOut)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return failure.ExitDone
	}
	if !a.started {
		// Cobra stops at the first wrong flag and may not have reached --json.
		a.json = a.json || asksForJSON(args)
		if failure.Of(err) == failure.Unexpected {
			err = usagef("%s", plainly(err.Error()))
		}
	}
	return a.fail(err)
}

var (
	exclusive   = regexp.MustCompile(`^if any flags in the group \[.*\] are set none of the others can be; \[(\S+) (\S+)\] were all set$`)
	oneRequired = regexp.MustCompile(`^at least one of the flags in the group \[(\S+) (\S+)\] is required$`)
)

// plainly says what Cobra says of two flags in fewer words.
func plainly(text string) string {
	text = exclusive.ReplaceAllString(text, "--$1 and --$2 exclude each other")
	return oneRequired.ReplaceAllString(text, "--$1 or --$2 is needed")
}

func asksForJSON(args []string) bool {
	if i := slices.Index(args, "--"); i >= 0 {
		args = args[:i]
	}
	return slices.Contains(args, "--json") || slices.Contains(args, "--json=true")
}

// result reports what the command found or did: v as the one JSON document, or
// the lines that human writes. It is called at most once.
func (a *app) result(v any, human func(w io.Writer) error) error {
	if a.printed {
		return errors.New("cli: a second result")
	}
	a.printed = true
	if a.json {
		return a.document(v)
	}
	return human(a.out)
}

func (a *app) document(v any) error {
	enc := json.NewEncoder(a.out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// notef tells the person at the terminal something that is not a result.
func (a *app) notef(format string, args ...any) {
	fmt.Fprintf(a.errOut, "canvasback: "+format+"\n", args...)
}

// errorDoc is the form of a failure in a JSON document.
type errorDoc struct {
	Kind    string `json:"kind"`
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
}

func newErrorDoc(err error) errorDoc {
	kind := failure.Of(err)
	return errorDoc{Kind: kind.Name, Message: err.Error(), Hint: kind.Hint}
}

// partial is the outcome of a command that has printed its result and still
// did not do all it was asked for. Err, if any, is printed to standard error.
type partial struct{ err error }

func (p *partial) Error() string { return p.err.Error() }
func (p *partial) Unwrap() error { return p.err }

// fail prints err and returns its exit status.
func (a *app) fail(err error) int {
	if a.ctx.Err() != nil && !a.ends {
		err = failure.Errorf(failure.Interrupted, "interrupted: %w", err)
	}
	doc := newErrorDoc(err)
	for line := range strings.Lines(doc.Message) {
		a.notef("error: %s", strings.TrimRight(line, "\n"))
	}
	if doc.Hint != "" {
		a.notef("hint: %s", doc.Hint)
	}
	if a.json && !a.printed {
		a.printed = true
		if werr := a.document(struct {
			Error errorDoc `json:"error"`
		}{doc}); werr != nil {
			a.notef("error: write the result: %v", werr)
		}
	}
	var part *partial
	if kind := failure.Of(err); kind != failure.Interrupted && errors.As(err, &part) {
		return failure.ExitPartly
	}
	return failure.Of(err).Exit
}
