package notify

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"canvasback/internal/hook"
)

// runCommand gives the event to a program: as JSON on its standard input, with
// the main facts in its environment, which holds nothing else of ours but PATH,
// HOME and LANG.
func runCommand(ctx context.Context, argv []string, limit time.Duration, p *Payload) *sendError {
	body, err := json.Marshal(p)
	if err != nil {
		return refused("the event: %v", err)
	}
	_, err = hook.CommandOn(ctx, argv, []string{
		"CANVASBACK_EVENT=" + p.Event, "CANVASBACK_EVENT_ID=" + p.ID, "CANVASBACK_HOST=" + p.Host, "CANVASBACK_DATABASE=" + p.Database,
		"CANVASBACK_STEP=" + p.Step, "CANVASBACK_RUN=" + p.RunID, "CANVASBACK_KIND=" + p.Kind,
	}, append(body, '\n'))
	if err == nil {
		return nil
	}
	text := err.Error()
	for _, arg := range argv[1:] {
		if strings.Contains(arg, "://") {
			text = conceal(text, arg[max(0, strings.Index(arg, "http")):])
		}
	}
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		text += " (stopped after " + limit.String() + ")"
	}
	return &sendError{text: text}
}
