package listen

import (
	"net"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAddress(t *testing.T) {
	for text, want := range map[string]string{":80": "127.0.0.1:80", "db1:80": "db1:80", "[::1]:0": "[::1]:0", "0.0.0.0:1": "0.0.0.0:1"} {
		got, err := Address(text)
		require.NoError(t, err)
		assert.Equal(t, want, got)
	}
	for _, text := range []string{"", "80", "localhost", "::1:80"} {
		_, err := Address(text)
		var form *net.AddrError
		require.ErrorAs(t, err, &form, text)
	}
}

func TestLoopback(t *testing.T) {
	for ip, want := range map[string]bool{"127.0.0.1": true, "127.8.0.1": true, "::1": true, "::ffff:127.0.0.1": true, "0.0.0.0": false, "::": false, "192.0.2.1": false} {
		assert.Equal(t, want, Loopback(&net.TCPAddr{IP: net.ParseIP(ip), Port: 80}), ip)
	}
}

func TestLoopbackName(t *testing.T) {
	for host, want := range map[string]bool{
		"localhost": true, "LocalHost": true, "127.0.0.1": true, "[::1]": true, "::1": true, "": false, "localhost.example.com": false, "192.0.2.1": false, "127.0.0.1.example.com": false,
	} {
		assert.Equal(t, want, LoopbackName(host), host)
	}
}
