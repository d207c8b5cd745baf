package config

import (
	"cmp"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
)

// longestNotifyTimeout bounds how long a run waits at its end.
const longestNotifyTimeout = Duration(time.Minute)

// Defaults of notifications.
const (
	DefaultNotifyTimeout = Duration(10 * time.Second)
	DefaultRemind        = Duration(24 * time.Hour)
)

// Notify says who is told how the runs of a database end. What a database
// leaves out it has from the top level of the file; ping: {}, webhook: {} and
// command: [] turn one of them off for it.
type Notify struct {
	// The check of a dead-man service, which is told of each start and end, and raises
	// the alarm when it hears nothing. Each database has a check of its own. In a
	// database `{}` turns off that of the top level.
	Ping *Ping `yaml:"ping"`
	// Where failures and recoveries are POSTed to, as JSON. `{}` turns it off.
	Webhook *Webhook `yaml:"webhook"`
	// A program and its arguments, run without a shell, with the event as JSON on its
	// standard input. `[]` turns it off.
	Command []string `yaml:"command"`
	// Time for each request and each run of the command, at most 1m.
	Timeout Duration `yaml:"timeout"`
	// A failure that lasts is told again after this; 0: never.
	Remind *Duration `yaml:"remind"`
}

// Ping is the check of a dead-man service. URL has the others from it
// (URL/start, URL, URL/fail), unless they are named.
type Ping struct {
	// Pinged after a run that made a verified backup; URL/start at its start, URL/fail
	// at its failure.
	URL SecretURL `yaml:"url"`
	// File, mode 0600, that holds it: whoever knows the URL can silence the alarm.
	URLFile string `yaml:"url_file"`
	// In place of URL/start.
	StartURL SecretURL `yaml:"start_url"`
	// File, mode 0600, that holds it.
	StartURLFile string `yaml:"start_url_file"`
	// In place of the URL itself.
	OKURL SecretURL `yaml:"ok_url"`
	// File, mode 0600, that holds it.
	OKURLFile string `yaml:"ok_url_file"`
	// In place of URL/fail.
	FailURL SecretURL `yaml:"fail_url"`
	// File, mode 0600, that holds it.
	FailURLFile string `yaml:"fail_url_file"`
	// `POST` or `GET`; left out, POST.
	Method string `yaml:"method"`
}

// Webhook is where events are POSTed to.
type Webhook struct {
	// What is POSTed to.
	URL SecretURL `yaml:"url"`
	// File, mode 0600, that holds it.
	URLFile string `yaml:"url_file"`
	// File, mode 0600, with a token that is sent as a bearer token.
	TokenFile string `yaml:"token_file"`
	// File, mode 0600, with the key of the signature that requests carry.
	SecretFile string `yaml:"secret_file"`
}

// SecretURL is a URL that lets whoever knows it do something. Printed or
// marshalled it is its scheme and host only.
type SecretURL string

// String is what may be shown of the URL.
func (u SecretURL) String() string {
	if u == "" {
		return ""
	}
	parsed, err := url.Parse(string(u))
	if err != nil || parsed.Scheme == "" || parsed.Host == "" {
		return "(not a URL)"
	}
	return parsed.Scheme + "://" + parsed.Host
}

// GoString is String.
func (u SecretURL) GoString() string { return u.String() }

// MarshalText is String.
func (u SecretURL) MarshalText() ([]byte, error) { return []byte(u.String()), nil }

// Check says what is wrong with the URL, without quoting it.
func (u SecretURL) Check() error {
	parsed, err := url.Parse(string(u))
	if err != nil || (parsed.Scheme != "http" && parsed.Scheme != "https") || parsed.Hostname() == "" {
		return fmt.Errorf("it is not a URL of the form https://HOST/PATH")
	}
	return nil
}

// NotifyOf is what holds for a database, with the defaults; for one that the
// configuration does not have, the top level without its ping, which some
// database answers for.
func (c *Config) NotifyOf(database string) Notify {
	n := c.Notify
	if d, ok := c.Database(database); ok {
		own := d.Notify
		n.Ping = cmp.Or(own.Ping, n.Ping)
		n.Webhook = cmp.Or(own.Webhook, n.Webhook)
		n.Remind = cmp.Or(own.Remind, n.Remind)
		n.Timeout = cmp.Or(own.Timeout, n.Timeout)
		if own.Command != nil {
			n.Command = own.Command
		}
	} else {
		n.Ping = nil
	}
	if n.Ping != nil && !n.Ping.set() {
		n.Ping = nil
	}
	if n.Webhook != nil && *n.Webhook == (Webhook{}) {
		n.Webhook = nil
	}
	n.Timeout = cmp.Or(n.Timeout, DefaultNotifyTimeout)
	if n.Remind == nil {
		remind := DefaultRemind
		n.Remind = &remind
	}
	return n
}

// Nobody tells whether there is nobody to be told.
func (n Notify) Nobody() bool { return n.Ping == nil && !n.Events() }

// Events tells whether failures and recoveries are told to somebody.
func (n Notify) Events() bool { return n.Webhook != nil || len(n.Command) > 0 }

// places are the URLs of a ping and the files that may hold them.
func (p *Ping) places() []struct {
	key  string
	url  SecretURL
	file *string
} {
	return []struct {
		key  string
		url  SecretURL
		file *string
	}{
		{"url", p.URL, &p.URLFile}, {"start_url", p.StartURL, &p.StartURLFile},
		{"ok_url", p.OKURL, &p.OKURLFile}, {"fail_url", p.FailURL, &p.FailURLFile},
	}
}

func (p *Ping) set() bool {
	for _, at := range p.places() {
		if at.url != "" || *at.file != "" {
			return true
		}
	}
	return false
}

// absolute makes relative paths start where from says.
func (n *Notify) absolute(from func(string) string) {
	if n.Ping != nil {
		for _, at := range n.Ping.places() {
			*at.file = from(*at.file)
		}
	}
	if w := n.Webhook; w != nil {
		w.URLFile, w.TokenFile, w.SecretFile = from(w.URLFile), from(w.TokenFile), from(w.SecretFile)
	}
	if len(n.Command) > 0 && strings.Contains(n.Command[0], "/") {
		n.Command[0] = from(n.Command[0])
	}
}

func (n *Notify) check(at string) []fault {
	k := &checks{at: at}
	k.require(n.Timeout >= 0, "timeout", "%s is no time limit: more than 0", n.Timeout)
	k.require(n.Timeout <= longestNotifyTimeout, "timeout", "%s is too long: at most %s", n.Timeout, longestNotifyTimeout)
	k.require(n.Remind == nil || *n.Remind >= 0, "remind", "%s is negative", n.Remind)
	k.require(len(n.Command) == 0 || n.Command[0] != "", "command", "missing: a list such as [/usr/local/bin/tell, oncall] is wanted")
	k.require(!slices.ContainsFunc(n.Command, func(s string) bool { return strings.ContainsRune(s, 0) }), "command", "an argument holds a zero byte")
	if p := n.Ping; p != nil {
		for _, at := range p.places() {
			k.secretURL("ping."+at.key, at.url, *at.file)
		}
		k.require(p.Method == "" || p.Method == "POST" || p.Method == "GET", "ping.method", "%q is not one of POST, GET", p.Method)
		k.require(p.Method == "" || p.set(), "ping.url", "missing: the URL of the check, or url_file")
	}
	if w := n.Webhook; w != nil {
		k.secretURL("webhook.url", w.URL, w.URLFile)
		k.require(w.URL != "" || w.URLFile != "" || *w == (Webhook{}), "webhook.url", "missing: the URL to POST to, or url_file")
	}
	return k.faults
}

// secretURL notes what is wrong with a URL, without quoting it.
func (k *checks) secretURL(key string, u SecretURL, file string) {
	k.require(u == "" || file == "", key, "set, and %s_file too: one of the two", key)
	if u != "" {
		err := u.Check()
		k.require(err == nil, key, "%v", err)
	}
}

// checkPings finds two databases with one check at a dead-man service: one
// would answer for the other.
func (c *Config) checkPings() []fault {
	k := &checks{}
	seen := map[Ping]string{}
	for i, d := range c.Databases {
		p := c.NotifyOf(d.Name).Ping
		if p == nil {
			continue
		}
		key := fmt.Sprintf("databases[%d].notify.ping", i)
		if d.Notify.Ping == nil {
			key = "notify.ping"
		}
		first, twice := seen[*p]
		k.require(!twice, key, "it is the check of both %s and %s, of which one would answer for the other: give each database its own", first, d.Name)
		seen[*p] = d.Name
	}
	return k.faults
}
