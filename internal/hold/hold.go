package hold

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"canvasback/internal/config"
	"canvasback/internal/failure"
	"canvasback/internal/hook"
	"canvasback/internal/hotcopy"
)

// Hold is a hotcopy.Hold that can be begun again after it has ended. It serves
// one copy and is not safe for concurrent use.
type Hold struct {
	options  config.Hold
	database string
	token    string // of the hold that was begun last and has not been ended
}

// New makes the hold of a database that the options ask for; nil in mode none.
func New(options config.Hold, database string) *Hold {
	if options.Mode == config.HoldNone {
		return nil
	}
	return &Hold{options: options, database: database}
}

// Begin returns once the owner says that it holds its checkpoints back, with
// the token of this hold. Its failures are of kind failure.Hook, or the cause
// of ctx. After a failure the owner may be holding all the same: End says so
// to it.
func (h *Hold) Begin(ctx context.Context) (hotcopy.Held, error) {
	var random [16]byte
	_, _ = rand.Read(random[:]) // it never fails
	h.token = hex.EncodeToString(random[:])
	answer, err := h.call(ctx, "begin", request{Token: h.token, DeadlineSeconds: h.deadlineSeconds()})
	if err == nil {
		var held hotcopy.Held
		if held, err = h.held(answer); err == nil {
			return held, nil
		}
	}
	return hotcopy.Held{}, h.failed(ctx, "begin", err)
}

// End tells the owner that the hold is over. It returns nil only if the owner
// says that the hold was in force until now; its failures are those of Begin.
func (h *Hold) End(ctx context.Context) error {
	token := h.token
	h.token = ""
	if token == "" {
		return h.failed(ctx, "end", errors.New("none was begun"))
	}
	if _, err := h.call(ctx, "end", request{Token: token}); err != nil {
		return h.failed(ctx, "end", err)
	}
	return nil
}

func (h *Hold) failed(ctx context.Context, verb string, err error) error {
	what := fmt.Sprintf("%s a hold of %s by %s", verb, h.database, h.options.Mode)
	if ctx.Err() != nil {
		return fmt.Errorf("%s: %w", what, context.Cause(ctx))
	}
	return failure.Errorf(failure.Hook, "%s: %w", what, err)
}

func (h *Hold) deadlineSeconds() int64 { return int64(time.Duration(h.options.Deadline) / time.Second) }

// request is what the owner is told.
type request struct {
	Token           string `json:"token"`
	DeadlineSeconds int64  `json:"deadline_seconds,omitempty"`
}

// call makes one call of the hook within the timeout.
func (h *Hold) call(ctx context.Context, verb string, body request) (answer []byte, err error) {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(h.options.Timeout))
	defer cancel()
	switch h.options.Mode {
	case config.HoldCommand:
		argv := append(h.options.Command[:len(h.options.Command):len(h.options.Command)], verb)
		answer, err = hook.Command(ctx, argv, []string{
			"CANVASBACK_DATABASE=" + h.database,
			"CANVASBACK_HOLD_TOKEN=" + body.Token,
			"CANVASBACK_HOLD_DEADLINE_SECONDS=" + strconv.FormatInt(h.deadlineSeconds(), 10),
		})
	case config.HoldHTTP:
		answer, err = h.post(ctx, verb, body)
	default:
		err = fmt.Errorf("unknown mode %q", h.options.Mode)
	}
	if err != nil && ctx.Err() == context.DeadlineExceeded {
		err = fmt.Errorf("no end within %s: %w", h.options.Timeout, err)
	}
	return answer, err
}

func (h *Hold) post(ctx context.Context, verb string, body request) ([]byte, error) {
	to, err := url.JoinPath(h.options.URL, verb)
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	answer, err := hook.Post(ctx, to, h.options.Socket, text)
	if status, ok := errors.AsType[*hook.StatusError](err); ok {
		switch status.Code {
		case http.StatusConflict:
			err = fmt.Errorf("another hold is active: %w", err)
		case http.StatusGone:
			err = fmt.Errorf("the hold was not in force any more: %w", err)
		}
	}
	return answer, err
}
