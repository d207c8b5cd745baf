package server

import (
	"encoding/hex"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// listening reads the kernel's tables for the TCP sockets that the process
// listens on.
func listening(t *testing.T, pid int) []*net.TCPAddr {
	t.Helper()
	proc := filepath.Join("/proc", strconv.Itoa(pid))
	links, err := filepath.Glob(filepath.Join(proc, "fd", "*"))
	require.NoError(t, err)
	require.NotEmpty(t, links)
	inodes := map[string]bool{}
	for _, link := range links {
		var inode uint64
		if target, err := os.Readlink(link); err == nil {
			if _, err := fmt.Sscanf(target, "socket:[%d]", &inode); err == nil {
				inodes[strconv.FormatUint(inode, 10)] = true
			}
		}
	}
	var found []*net.TCPAddr
	for _, table := range []string{"tcp", "tcp6"} {
		data, err := os.ReadFile(filepath.Join(proc, "net", table))
		require.NoError(t, err)
		for line := range strings.Lines(string(data)) {
			// sl local_address rem_address st tx:rx tr:when retrnsmt uid timeout inode
			f := strings.Fields(line)
			const stateListen = "0A"
			if len(f) < 10 || f[3] != stateListen || !inodes[f[9]] {
				continue
			}
			found = append(found, parseAddress(t, f[1]))
		}
	}
	return found
}

// parseAddress reads an address of /proc/net/tcp: words of four bytes in the
// machine's order, here taken to be little endian.
func parseAddress(t *testing.T, s string) *net.TCPAddr {
	t.Helper()
	ip, port, ok := strings.Cut(s, ":")
	require.True(t, ok, s)
	raw, err := hex.DecodeString(ip)
	require.NoError(t, err)
	for word := range slices.Chunk(raw, 4) {
		slices.Reverse(word)
	}
	n, err := strconv.ParseUint(port, 16, 16)
	require.NoError(t, err)
	return &net.TCPAddr{IP: raw, Port: int(n)}
}

func TestParseAddress(t *testing.T) {
	require.Equal(t, "127.0.0.1:8233", parseAddress(t, "0100007F:2029").String())
	require.Equal(t, "0.0.0.0:80", parseAddress(t, "00000000:0050").String())
	require.True(t, parseAddress(t, "00000000000000000000000001000000:0050").IP.IsLoopback())
}
