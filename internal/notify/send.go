package notify

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"canvasback/internal/config"
)

const (
	// maxAnswer is how much of an answer is read, in bytes.
	maxAnswer = 4096
	// maxText is how much of a message a ping carries, in bytes.
	maxText = 8 << 10
	// longestAfter bounds what Retry-After can ask for.
	longestAfter = 5 * time.Minute
)

// sendError is why a message was not taken. It holds no secret.
type sendError struct {
	text  string
	final bool          // trying again cannot help
	after time.Duration // the server wants that much time
}

func (e *sendError) Error() string { return e.text }

// errNotWanted: the configuration has no such channel, or none for this event.
var errNotWanted = &sendError{text: "nobody is to be told", final: true}

func refused(format string, args ...any) *sendError {
	return &sendError{text: fmt.Sprintf(format, args...), final: true}
}

// send makes one attempt.
func (n *Notifier) send(ctx context.Context, set config.Notify, l *letter) *sendError {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(set.Timeout))
	defer cancel()
	switch {
	case l.Channel == ChannelPing && set.Ping != nil:
		return n.sendPing(ctx, set.Ping, l)
	case l.Channel == ChannelWebhook && set.Webhook != nil && l.Payload != nil:
		return n.sendWebhook(ctx, set.Webhook, l.Payload)
	case l.Channel == ChannelCommand && len(set.Command) > 0 && l.Payload != nil:
		return runCommand(ctx, set.Command, time.Duration(set.Timeout), l.Payload)
	}
	return errNotWanted
}

func (n *Notifier) sendWebhook(ctx context.Context, w *config.Webhook, p *Payload) *sendError {
	to, err := secretURL(w.URL, w.URLFile)
	if err != nil {
		return refused("%v", err)
	}
	body, err := json.Marshal(p)
	if err != nil {
		return refused("the event: %v", err)
	}
	header := http.Header{}
	header.Set("Content-Type", "application/json")
	header.Set("X-Canvasback-Event", p.Event)
	header.Set("X-Canvasback-Delivery", p.ID)
	token, err := config.ReadSecretFile(w.TokenFile)
	if err != nil {
		return refused("%v", err)
	}
	if strings.ContainsFunc(token, unicode.IsControl) {
		return refused("secret file %s: a token is one line", w.TokenFile)
	}
	if token != "" {
		header.Set("Authorization", "Bearer "+token)
	}
	secret, err := config.ReadSecretFile(w.SecretFile)
	if err != nil {
		return refused("%v", err)
	}
	if secret != "" {
		mac := hmac.New(sha256.New, []byte(secret))
		mac.Write(body)
		header.Set("X-Canvasback-Signature", "sha256="+hex.EncodeToString(mac.Sum(nil)))
	}
	_, failed := n.request(ctx, http.MethodPost, to, header, body)
	return failed
}

// secretURL is the URL, or what the file says.
func secretURL(u config.SecretURL, file string) (config.SecretURL, error) {
	if file != "" {
		text, err := config.ReadSecretFile(file)
		if err != nil {
			return "", err
		}
		u = config.SecretURL(strings.TrimSpace(text))
		if err := u.Check(); err != nil {
			return "", fmt.Errorf("secret file %s: %w", file, err)
		}
	}
	return u, nil
}

// request makes one request and returns the beginning of a good answer.
func (n *Notifier) request(ctx context.Context, method string, to config.SecretURL, header http.Header, body []byte) ([]byte, *sendError) {
	req, err := http.NewRequestWithContext(ctx, method, string(to), bytes.NewReader(body))
	if err != nil {
		return nil, refused("%s: not a URL that can be asked", to)
	}
	req.Header = header
	req.Header.Set("User-Agent", strings.NewReplacer("(", "", ")", "", "canvasback ", "canvasback/").Replace(tool()))
	transport := &http.Transport{
		Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true, ForceAttemptHTTP2: true,
		TLSClientConfig: &tls.Config{RootCAs: n.roots, MinVersion: tls.VersionTLS12}, MaxResponseHeaderBytes: 64 << 10,
	}
	defer transport.CloseIdleConnections()
	client := &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	res, err := client.Do(req)
	if err != nil {
		return nil, unanswered(ctx, to, err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if failed := status(to, res, n.clock()); failed != nil {
		return nil, failed
	}
	if err != nil {
		return nil, unanswered(ctx, to, err)
	}
	return answer, nil
}

// status is what an answer means. The server's own words may quote the URL, so
// they are not repeated.
func status(to config.SecretURL, res *http.Response, now time.Time) *sendError {
	code := res.StatusCode
	text := strings.TrimSpace(fmt.Sprintf("%s answers %d %s", to, code, http.StatusText(code)))
	switch {
	case code >= 200 && code < 300:
		return nil
	case code >= 300 && code < 400:
		return refused("%s, a redirect, which is not followed", text)
	case code == http.StatusTooManyRequests, code == http.StatusRequestTimeout, code == http.StatusTooEarly, code >= 500:
		return &sendError{text: text, after: retryAfter(res.Header.Get("Retry-After"), now)}
	}
	return refused("%s", text)
}

// retryAfter reads the header: seconds, or a date.
func retryAfter(value string, now time.Time) time.Duration {
	var after time.Duration
	if seconds, err := strconv.ParseUint(value, 10, 31); err == nil {
		after = time.Duration(seconds) * time.Second
	} else if at, err := http.ParseTime(value); err == nil {
		after = at.Sub(now)
	}
	return min(max(after, 0), longestAfter)
}

// unanswered is why there was no answer. The texts of the errors below the URL
// error name hosts and addresses; what else of the URL might be in one is cut.
func unanswered(ctx context.Context, to config.SecretURL, err error) *sendError {
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return &sendError{text: fmt.Sprintf("%s does not answer in time", to)}
	}
	if ue, ok := errors.AsType[*url.Error](err); ok {
		err = ue.Err
	}
	return &sendError{text: fmt.Sprintf("%s: %s", to, conceal(err.Error(), string(to)))}
}

// conceal takes the parts of a URL that are secrets out of a text.
func conceal(text, secret string) string {
	parts := []string{secret}
	if u, err := url.Parse(secret); err == nil {
		parts = append(parts, u.RequestURI(), u.Path, u.RawQuery, u.Fragment)
		parts = append(parts, strings.FieldsFunc(u.EscapedPath(), func(r rune) bool { return r == '/' })...)
		for _, values := range u.Query() {
			parts = append(parts, values...)
		}
		if u.User != nil {
			password, _ := u.User.Password()
			parts = append(parts, u.User.Username(), password)
		}
	}
	// The long ones first: a short one may be a part of one.
	slices.SortFunc(parts, func(a, b string) int { return len(b) - len(a) })
	for _, part := range parts {
		switch {
		case len(part) >= 4:
			text = strings.ReplaceAll(text, part, "...")
		case strings.Trim(part, "/") != "":
			// As letters it may be in any word: it goes where it stands as a part of a URL.
			text = concealAlone(text, part)
		}
	}
	return text
}

// concealAlone hides a part where it stands between what separates the parts of a
// URL, or ends one in a text.
func concealAlone(text, part string) string {
	const before, behind = `/?&=@:#"`, `/?&=@:#"` + " \t\r\n,."
	var out strings.Builder
	begins := true // of what comes now: at the start, or behind a separator
	for text != "" {
		rest, here := strings.CutPrefix(text, part)
		if begins && here && (rest == "" || strings.IndexByte(behind, rest[0]) >= 0) {
			out.WriteString("...")
			text, begins = rest, false
			continue
		}
		begins = strings.IndexByte(before, text[0]) >= 0
		out.WriteByte(text[0])
		text = text[1:]
	}
	return out.String()
}
