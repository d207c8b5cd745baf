package notify

import (
	"context"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"canvasback/internal/config"
)

var uuidPattern = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)

// sendPing says start, ok, fail or log to the dead-man service.
func (n *Notifier) sendPing(ctx context.Context, p *config.Ping, l *letter) *sendError {
	to, err := pingURL(p, l.Event, l.Run)
	if err != nil {
		return refused("%v", err)
	}
	if to == "" {
		return errNotWanted
	}
	method, body := http.MethodPost, []byte(shorten(l.Text))
	if p.Method == http.MethodGet {
		method, body = http.MethodGet, nil
	}
	header := http.Header{}
	if len(body) > 0 {
		header.Set("Content-Type", "text/plain; charset=utf-8")
	}
	answer, failed := n.request(ctx, method, to, header, body)
	if failed != nil {
		return failed
	}
	// Healthchecks answers 200 to these, too.
	switch strings.TrimSpace(string(answer)) {
	case "OK (not found)":
		return refused("%s knows no such check", to)
	case "OK (rate limited)":
		return &sendError{text: to.String() + " takes no more pings for now"}
	}
	return nil
}

// pingURL is where a ping goes; empty: it is not wanted.
func pingURL(p *config.Ping, what, run string) (config.SecretURL, error) {
	named := map[string]struct {
		url  config.SecretURL
		file string
	}{
		PingStart: {p.StartURL, p.StartURLFile}, PingOK: {p.OKURL, p.OKURLFile}, PingFail: {p.FailURL, p.FailURLFile},
	}[what]
	if named.url != "" || named.file != "" {
		return secretURL(named.url, named.file)
	}
	base, err := secretURL(p.URL, p.URLFile)
	if err != nil || base == "" {
		return "", err
	}
	u, err := url.Parse(string(base))
	if err != nil {
		return "", base.Check()
	}
	if what != PingOK {
		u = u.JoinPath(what)
	}
	if uuidPattern.MatchString(run) {
		query := u.Query()
		query.Set("rid", run)
		u.RawQuery = query.Encode()
	}
	return config.SecretURL(u.String()), nil
}

func shorten(text string) string { return strings.ToValidUTF8(text[:min(len(text), maxText)], "") }
