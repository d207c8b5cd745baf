package config

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"canvasback/internal/failure"
)

// secretPart is in every URL of these tests, and may be in no text.
const secretPart = "5d3b8f0e-secret"

const notifyFile = `
host: db1
repository: DIR/backups
notify:
  webhook: {url: "https://alerts.example/hook/5d3b8f0e-secret", token_file: token}
  command: [bin/tell, oncall]
  remind: 12h
databases:
- name: shop
  path: DIR/shop.duckdb
  notify:
    ping: {url_file: ping-url}
    command: [page]
    timeout: 3s
    remind: 0
- name: logs
  path: DIR/logs.duckdb
  notify: {webhook: {}, command: []}
- name: plain
  path: DIR/plain.duckdb
`

func TestNotify(t *testing.T) {
	dir, path := write(t, notifyFile)
	c, err := Load(path)
	require.NoError(t, err)
	hook := &Webhook{URL: "https://alerts.example/hook/" + secretPart, TokenFile: filepath.Join(dir, "token")}
	half, never := Duration(12*time.Hour), Duration(0)
	assert.Equal(t, Notify{
		Ping: &Ping{URLFile: filepath.Join(dir, "ping-url")}, Webhook: hook, Command: []string{"page"},
		Timeout: Duration(3 * time.Second), Remind: &never,
	}, c.NotifyOf("shop"))
	assert.True(t, c.NotifyOf("logs").Nobody(), "both are turned off")
	assert.Equal(t, Notify{
		Webhook: hook, Command: []string{filepath.Join(dir, "bin/tell"), "oncall"}, Timeout: DefaultNotifyTimeout, Remind: &half,
	}, c.NotifyOf("plain"))
	assert.Equal(t, c.NotifyOf("plain"), c.NotifyOf("unknown"))
	bare := Config{}
	assert.True(t, bare.NotifyOf("any").Nobody())
	assert.Equal(t, DefaultRemind, *bare.NotifyOf("any").Remind)
}

func TestSecretURLsAreNotPrinted(t *testing.T) {
	_, path := write(t, notifyFile)
	c, err := Load(path)
	require.NoError(t, err)
	u := c.Notify.Webhook.URL
	data, err := json.Marshal(c)
	require.NoError(t, err)
	for _, text := range []string{
		u.String(), fmt.Sprintf("%v %s %q", u, u, u), fmt.Sprintf("%#v %+v", u, *c.Notify.Webhook), fmt.Sprintf("%#v", *c.Notify.Webhook), string(data),
	} {
		assert.Contains(t, text, "https://alerts.example")
		assert.NotContains(t, text, secretPart)
	}
	assert.Equal(t, "https://hc.example", SecretURL("https://user:"+secretPart+"@hc.example/x?y="+secretPart).String())
	assert.Equal(t, "(not a URL)", SecretURL(secretPart).String())
}

func TestNotifyFaults(t *testing.T) {
	const database = "repository: DIR/backups\ndatabases:\n- {name: shop, path: DIR/shop.duckdb}\n- {name: logs, path: DIR/logs.duckdb}\n"
	tests := []struct{ name, text, want string }{
		{"a scalar for a ping", "notify: {ping: 'https://hc.example/5d3b8f0e-secret'}\n", "a set of keys is wanted here"},
		{"a URL for a key", "notify: {ping: {https://hc.example/5d3b8f0e-secret}}\n", `unknown key "https://hc.example..."`},
		{"a URL with a user for a key", "notify: {ping: {'https://5d3b8f0e-secret@hc.example?5d3b8f0e-secret': 1}}\n", `unknown key "https://hc.example..."`},
		{"a list for a URL", "notify: {webhook: {url: ['https://hc.example/5d3b8f0e-secret']}}\n", "text is wanted here"},
		{"no URL", "notify: {webhook: {url: '5d3b8f0e-secret'}}\n", "notify.webhook.url: it is not a URL of the form https://HOST/PATH"},
		{"another scheme", "notify: {webhook: {url: 'ftp://5d3b8f0e-secret/'}}\n", "notify.webhook.url: it is not a URL"},
		{"not parsed", "notify: {webhook: {url: 'https://hc.example/%zz5d3b8f0e-secret'}}\n", "notify.webhook.url: it is not a URL"},
		{"a webhook without a URL", "notify: {webhook: {token_file: t}}\n", "notify.webhook.url: missing"},
		{"URL and file", "notify: {webhook: {url: 'https://hc.example/5d3b8f0e-secret', url_file: f}}\n", "one of the two"},
		{"a method", "notify: {ping: {method: PUT}}\n", `"PUT" is not one of POST, GET`},
		{"a method alone", "notify: {ping: {method: GET}}\n", "notify.ping.url: missing"},
		{"no time", "notify: {timeout: 0}\n", "0 is no time limit"},
		{"negative time", "notify: {timeout: -1s, remind: -1s}\n", "notify.remind: -1s is negative"},
		{"too much time", "notify: {timeout: 2m}\n", "notify.timeout: 2m0s is too long: at most 1m0s"},
		{"no program", "notify: {command: ['']}\n", "notify.command: missing"},
		{"one check for two", "notify: {ping: {ok_url: 'https://hc.example/5d3b8f0e-secret'}}\n", "it is the check of both shop and logs"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, path := write(t, tt.text+database)
			_, err := Load(path)
			require.ErrorContains(t, err, tt.want)
			assert.Equal(t, failure.InvalidConfig, failure.Of(err))
			assert.NotContains(t, err.Error(), secretPart)
		})
	}
}

func TestReadSecretFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "url")
	require.NoError(t, os.WriteFile(path, []byte("https://hc.example/x\n"), 0o600))
	text, err := ReadSecretFile(path)
	require.NoError(t, err)
	assert.Equal(t, "https://hc.example/x", text)
	require.NoError(t, os.Chmod(path, 0o644))
	_, err = ReadSecretFile(path)
	assert.ErrorContains(t, err, "secret file "+path)
}

// TestDocumentedNotify loads what the documentation shows.
func TestDocumentedNotify(t *testing.T) {
	doc, err := os.ReadFile(filepath.Join("..", "..", "docs", "notifications.md"))
	require.NoError(t, err)
	blocks := strings.Split(string(doc), "```yaml\n")
	require.Len(t, blocks, 3)
	text, _, _ := strings.Cut(blocks[1], "```")
	_, path := write(t, "host: db1\nrepository: /var/backups\n"+text)
	c, err := Load(path)
	require.NoError(t, err)
	n := c.NotifyOf("shop")
	assert.Equal(t, "/etc/canvasback/shop-ping-url", n.Ping.URLFile)
	assert.Equal(t, "/etc/canvasback/webhook-key", n.Webhook.SecretFile)
	assert.Equal(t, DefaultNotifyTimeout, n.Timeout)
	assert.Equal(t, DefaultRemind, *n.Remind)

	text, _, _ = strings.Cut(blocks[2], "```")
	snitch, kuma, found := strings.Cut(text, "\nping:")
	require.True(t, found)
	for _, ping := range []string{snitch, "ping:" + kuma} {
		ping = "\n" + strings.TrimSpace(ping)
		_, path = write(t, "repository: /var/backups\ndatabases: [{name: shop, path: /srv/shop.duckdb}]\nnotify:"+strings.ReplaceAll(ping, "\n", "\n  ")+"\n")
		c, err = Load(path)
		require.NoError(t, err, ping)
		assert.NotEmpty(t, c.NotifyOf("shop").Ping.OKURL)
	}
}
