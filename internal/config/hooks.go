package config

import (
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"
)

func (p *Checkpoint) check(at string) []fault {
	return hookKeys{
		section: "checkpoint", modes: []string{CheckpointNone, CheckpointCommand, CheckpointHTTP, CheckpointOpen},
		mode: p.Mode, command: p.Command, url: p.URL, socket: p.Socket, timeout: p.Timeout, onError: p.OnError,
		exampleCommand: "[/usr/local/bin/fold, --now]", exampleURL: "http://127.0.0.1:8080/checkpoint",
	}.check(at)
}

func (h *Hold) check(at string) []fault {
	k := &checks{at: at}
	k.require(h.Deadline > 0, "deadline", "%s is no time: more than 0", h.Deadline)
	k.require(time.Duration(h.Deadline)%time.Second == 0, "deadline", "%s is not a whole number of seconds", h.Deadline)
	return append(hookKeys{
		section: "hold", modes: []string{HoldNone, HoldCommand, HoldHTTP},
		mode: h.Mode, command: h.Command, url: h.URL, socket: h.Socket, timeout: h.Timeout, onError: h.OnError,
		exampleCommand: "[/usr/local/bin/hold, --quietly]", exampleURL: "http://127.0.0.1:8080/hold",
	}.check(at), k.faults...)
}

// hookKeys are the keys that the sections about a hook share.
type hookKeys struct {
	section                    string
	modes                      []string
	mode, url, socket, onError string
	command                    []string
	timeout                    Duration
	exampleCommand, exampleURL string
}

func (h hookKeys) check(at string) []fault {
	k := &checks{at: at}
	k.require(slices.Contains(h.modes, h.mode), "mode", "%q is not one of %s", h.mode, strings.Join(h.modes, ", "))
	if len(k.faults) == 0 {
		k.require(h.mode == CheckpointCommand || len(h.command) == 0, "command", "set, but mode is %s", h.mode)
		k.require(h.mode == CheckpointHTTP || h.url == "", "url", "set, but mode is %s", h.mode)
		k.require(h.mode == CheckpointHTTP || h.socket == "", "socket", "set, but mode is %s", h.mode)
	}
	if h.mode == CheckpointCommand {
		k.require(len(h.command) > 0 && h.command[0] != "", "command", "missing: mode command needs a list such as %s", h.exampleCommand)
		k.require(!slices.ContainsFunc(h.command, func(s string) bool { return strings.ContainsRune(s, 0) }), "command", "an argument holds a zero byte")
	}
	if h.mode == CheckpointHTTP {
		why := h.checkURL()
		k.require(why == "", "url", "%s", why)
	}
	k.require(h.timeout > 0, "timeout", "%s is no time limit: more than 0", h.timeout)
	k.require(h.onError == OnErrorContinue || h.onError == OnErrorFail, "on_error", "%q is not one of continue, fail", h.onError)
	return k.faults
}

// checkURL says what is wrong with the URL: what it reaches may be this
// machine only, so that a configuration cannot make the worker knock on
// other doors.
func (h hookKeys) checkURL() string {
	if h.url == "" {
		return "missing: mode http needs one such as " + h.exampleURL
	}
	u, err := url.Parse(h.url)
	switch {
	case err != nil:
		return "it is not a URL" // and may hold a secret
	case u.Scheme != "http" || u.Host == "":
		return fmt.Sprintf("%q is not a URL of the form http://HOST:PORT/PATH", shownURL(u))
	case u.User != nil:
		return fmt.Sprintf("%q holds a user name: the hook is called without one", shownURL(u))
	case h.socket == "" && !isLoopback(u.Hostname()):
		return fmt.Sprintf("%q is not on this machine: localhost, 127.0.0.1 or [::1], or a unix socket in %s.socket", shownURL(u), h.section)
	}
	return ""
}

// shownURL leaves out of a URL what may be a secret.
func shownURL(u *url.URL) string {
	shown := *u
	shown.RawQuery, shown.Fragment, shown.RawFragment = "", "", ""
	return shown.Redacted()
}

func hookURL(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return "it"
	}
	return shownURL(u)
}

func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback()
}
