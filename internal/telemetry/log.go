package telemetry

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"canvasback/internal/failure"
)

// NewLogger writes lines of the form text or json to w; another form is a
// failure.Usage. What is secret does not get into them.
func NewLogger(w io.Writer, format string) (*slog.Logger, error) {
	scrub := environment()
	o := &slog.HandlerOptions{Level: slog.LevelInfo, ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		return scrub.attr(a)
	}}
	switch format {
	case "text":
		return slog.New(slog.NewTextHandler(w, o)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(w, o)), nil
	}
	return nil, failure.Errorf(failure.Usage, "--log-format %s: text or json is wanted", format)
}

// attr scrubs what is, or would be written as, a text.
func (s *scrubber) attr(a slog.Attr) slog.Attr {
	switch a.Value.Kind() {
	case slog.KindString:
		a.Value = slog.StringValue(s.text(a.Value.String()))
	case slog.KindAny:
		switch v := a.Value.Any().(type) {
		case error:
			a.Value = slog.StringValue(s.text(v.Error()))
		case nil, slog.Level, *slog.Source, bool:
		default:
			if written := fmt.Sprintf("%+v", v); s.text(written) != written {
				a.Value = slog.StringValue(s.text(written))
			}
		}
	}
	return a
}

// ForTemporal is the logger for Temporal's SDK. How a step ended is said once, by
// the line of the step.
func ForTemporal(log *slog.Logger) *slog.Logger { return slog.New(&lessNoise{log.Handler()}) }

// lessNoise drops what the SDK says of activities that failed.
type lessNoise struct{ slog.Handler }

func (l *lessNoise) Handle(ctx context.Context, r slog.Record) error {
	if strings.HasPrefix(r.Message, "Activity error") {
		steps := false
		r.Attrs(func(a slog.Attr) bool {
			steps = a.Key == "ActivityType" && isStep(a.Value.String())
			return !steps
		})
		if steps {
			return nil
		}
	}
	return l.Handler.Handle(ctx, r)
}

func (l *lessNoise) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &lessNoise{l.Handler.WithAttrs(attrs)}
}

func (l *lessNoise) WithGroup(name string) slog.Handler {
	return &lessNoise{l.Handler.WithGroup(name)}
}
