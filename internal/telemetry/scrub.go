package telemetry

import (
	"canvasback/internal/listen"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
)

// hidden stands where something secret was.
const hidden = "xxxxx"

// scrubber takes secrets out of texts that were written elsewhere: errors of
// hooks quote the URL that was called, and so on.
type scrubber struct{ known *strings.Replacer }

var (
	// secretNames hold keys. The second kind is a list of NAME=VALUE.
	secretNames = []string{"TEMPORAL_API_KEY", "TEMPORAL_TLS_CLIENT_KEY_DATA"}
	headerNames = []string{"OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS"}

	urlPattern = regexp.MustCompile(`(?i)\b[a-z][a-z0-9+.-]*://[^\s"'<>\\]+`)
)

// newScrubber knows the secrets of the environment by heart. Of URLs it leaves
// what says where, and takes what says with whose leave: the user, the query, and,
// since webhooks carry their key there, the path on another machine.
func newScrubber(getenv func(string) string) *scrubber {
	var secrets []string
	for _, name := range secretNames {
		secrets = append(secrets, getenv(name))
	}
	for _, name := range headerNames {
		for pair := range strings.SplitSeq(getenv(name), ",") {
			_, value, _ := strings.Cut(pair, "=")
			secrets = append(secrets, strings.TrimSpace(value))
			if plain, err := url.QueryUnescape(value); err == nil {
				secrets = append(secrets, strings.TrimSpace(plain))
			}
		}
	}
	slices.SortFunc(secrets, func(a, b string) int { return len(b) - len(a) }) // before their parts
	var pairs []string
	for _, s := range secrets {
		if s != "" {
			pairs = append(pairs, s, hidden)
		}
	}
	return &scrubber{known: strings.NewReplacer(pairs...)}
}

// environment is the scrubber of this process.
func environment() *scrubber { return newScrubber(os.Getenv) }

func (s *scrubber) text(text string) string {
	text = s.known.Replace(text)
	if !strings.Contains(text, "://") {
		return text
	}
	return urlPattern.ReplaceAllStringFunc(text, scrubURL)
}

func scrubURL(text string) string {
	scheme, rest, _ := strings.Cut(text, "://")
	end := strings.IndexAny(rest, "/?#")
	if end < 0 {
		end = len(rest)
	}
	authority, path := rest[:end], rest[end:]
	if i := strings.LastIndex(authority, "@"); i >= 0 {
		authority = hidden + authority[i:]
	}
	u, err := url.Parse("//" + authority)
	here := err == nil && listen.LoopbackName(u.Hostname())
	if i := strings.IndexAny(path, "?#"); i >= 0 {
		path = path[:i] + path[i:i+1] + hidden
	}
	if !here && len(strings.Trim(path, "/")) > 0 {
		path = "/" + hidden
	}
	return scheme + "://" + authority + path
}
