package fleettest

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"
)

// cable joins a network namespace to this one.
type cable struct {
	t         *testing.T
	namespace string
	here      string // the interface at this end
	address   string // of this end
	there     string // address of the other
}

// connect makes the n-th namespace and its cable. It is taken away with the test.
func connect(t *testing.T, n int) *cable {
	t.Helper()
	id := os.Getpid() % 100_000
	c := &cable{
		t: t, namespace: fmt.Sprintf("canvasback-%d-%d", id, n), here: fmt.Sprintf("cb%d-%d", id, n),
		address: fmt.Sprintf("10.%d.%d.1", 100+id%100, n), there: fmt.Sprintf("10.%d.%d.2", 100+id%100, n),
	}
	far := c.here + "p"
	c.ip("netns", "add", c.namespace)
	t.Cleanup(func() { c.ip("netns", "del", c.namespace) }) // and with it both ends
	c.ip("link", "add", c.here, "type", "veth", "peer", "name", far)
	c.ip("link", "set", far, "netns", c.namespace)
	c.ip("addr", "add", c.address+"/24", "dev", c.here)
	c.ip("link", "set", c.here, "up")
	c.ip("-n", c.namespace, "addr", "add", c.there+"/24", "dev", far)
	c.ip("-n", c.namespace, "link", "set", far, "up")
	c.ip("-n", c.namespace, "link", "set", "lo", "up")
	return c
}

func (c *cable) ip(args ...string) {
	c.t.Helper()
	out, err := exec.Command("ip", args...).CombinedOutput()
	require.NoError(c.t, err, "ip %v: %s", args, out)
}

func (c *cable) pull()   { c.ip("link", "set", c.here, "down") }
func (c *cable) plugIn() { c.ip("link", "set", c.here, "up") }

// command runs a program at the far end.
func (c *cable) command(program string, args ...string) *exec.Cmd {
	return exec.Command("ip", append([]string{"netns", "exec", c.namespace, program}, args...)...)
}

// forward lets the far end reach a server of this machine that listens on
// loopback, at the address that it returns.
func (c *cable) forward(to string) string {
	c.t.Helper()
	l, err := net.Listen("tcp", net.JoinHostPort(c.address, "0"))
	require.NoError(c.t, err)
	c.t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go relay(conn, to)
		}
	}()
	return l.Addr().String()
}

// relay ends both connections when one does.
func relay(from net.Conn, to string) {
	defer from.Close()
	conn, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	defer conn.Close()
	done := make(chan struct{}, 2)
	pass := func(a, b net.Conn) {
		_, _ = io.Copy(a, b)
		done <- struct{}{}
	}
	go pass(conn, from)
	go pass(from, conn)
	<-done
}
