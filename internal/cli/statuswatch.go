package cli

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"time"

	"go.temporal.io/sdk/client"

	"canvasback/internal/failure"
)

// Sequences of a terminal: another screen beside the one with the history, its
// top left corner, and the rest of a line and of the screen.
const (
	enterScreen = "\x1b[?1049h\x1b[?25l"
	leaveScreen = "\x1b[?25h\x1b[?1049l"
	home        = "\x1b[H"
	clearLine   = "\x1b[K"
	clearBelow  = "\x1b[J"
)

// watchStatus shows the status until the command is interrupted, which is how it
// is meant to end: with the verdict of what was shown last. On a terminal it is
// drawn in place, elsewhere again below.
func (f *statusFlags) watchStatus(a *app, c client.Client) error {
	a.ends, a.printed = true, true
	drawn := isTerminal(a.out)
	if drawn {
		fmt.Fprint(a.out, enterScreen)
	}
	var last []byte
	verdict := error(nil)
	tick := time.NewTicker(f.watch)
	defer tick.Stop()
	for a.ctx.Err() == nil {
		all, err := f.ask(a, c)
		if a.ctx.Err() != nil {
			break
		}
		var text bytes.Buffer
		p := a.painter(&text)
		fmt.Fprintln(&text, p.paint(cell{a.now().UTC().Format(time.RFC3339) + "  every " + f.watch.String() + ", Ctrl-C ends it", dim}))
		if err != nil {
			verdict = err
			fmt.Fprintf(&text, "%s\n%s\n", p.paint(cell{"Not known: " + err.Error(), red}), failure.Of(err).Hint)
		} else {
			verdict = f.verdict(all)
			if err := p.status(all, a.now()); err != nil {
				return err
			}
		}
		last = text.Bytes()
		if err := draw(a.out, last, drawn); err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-a.ctx.Done():
		}
	}
	if drawn {
		// What was seen last stays in the terminal's history.
		fmt.Fprint(a.out, leaveScreen)
		if err := draw(a.out, last, false); err != nil {
			return err
		}
	}
	return verdict
}

func draw(w io.Writer, text []byte, inPlace bool) error {
	if !inPlace {
		_, err := w.Write(text)
		return err
	}
	_, err := io.WriteString(w, home+strings.ReplaceAll(string(text), "\n", clearLine+"\n")+clearBelow)
	return err
}
