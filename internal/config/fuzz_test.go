package config

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// FuzzUnits: a size or a duration that is taken is printed as one that is read as
// the same.
func FuzzUnits(f *testing.F) {
	for _, text := range []string{"4096", "64KB", "1.5GB", "-3", "9223372036854775807", "8388608TiB", "1e9", "1h30m", "-1ns", "NaN", "0x10"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var b, again Bytes
		if b.UnmarshalText([]byte(text)) == nil {
			require.NoError(t, again.UnmarshalText([]byte(b.String())), "%q is %s", text, b)
			require.Equal(t, b, again)
			if !strings.Contains(text, "-") {
				require.GreaterOrEqual(t, b, Bytes(0), "%q", text)
			}
		}
		var d, same Duration
		if d.UnmarshalText([]byte(text)) == nil {
			require.NoError(t, same.UnmarshalText([]byte(d.String())))
			require.Equal(t, time.Duration(d), time.Duration(same))
		}
	})
}

// FuzzSecretURL: what is shown of a URL has nothing of its user, path and query.
func FuzzSecretURL(f *testing.F) {
	f.Add("https://user:hunter2@hc.example/hunter2?k=hunter2#hunter2")
	f.Fuzz(func(t *testing.T, text string) {
		u := SecretURL(text)
		if u.Check() != nil {
			return
		}
		shown := u.String()
		_, rest, ok := strings.Cut(shown, "://")
		require.True(t, ok, "%q", shown)
		require.NotContains(t, rest, "/")
		require.NotContains(t, rest, "?")
		require.NotContains(t, rest, "@")
	})
}

// What is wrong with a hook's URL is said without its query and its password.
func TestFaultsQuoteNoSecretOfAHook(t *testing.T) {
	for _, url := range []string{"http://127.0.0.1:1/hold?token=hunter2#hunter2", "http://u:hunter2@127.0.0.1:1/hold", "https://127.0.0.1/?k=hunter2", "http://db.example/?k=hunter2", "http://127.0.0.1:x/?k=hunter2", "http://[::1?hunter2"} {
		c := &Config{Host: "h", Repository: "/b", Copies: 1, Databases: []Database{
			{Name: "a", Path: "/a", Hold: Hold{Mode: HoldHTTP, URL: url}}, {Name: "b", Path: "/c", Hold: Hold{Mode: HoldHTTP, URL: url}},
		}}
		err := c.Validate()
		require.ErrorContains(t, err, "hold.url", url)
		require.NotContains(t, err.Error(), "hunter2", url)
	}
}
