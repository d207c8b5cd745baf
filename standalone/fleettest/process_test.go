package fleettest

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// process is a program that a test started and ends.
type process struct {
	t      *testing.T
	name   string
	cmd    *exec.Cmd
	log    string
	exited chan struct{}
}

func start(t *testing.T, name, log string, cmd *exec.Cmd) *process {
	t.Helper()
	f, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	require.NoError(t, err)
	defer f.Close()
	cmd.Stderr = f
	p := &process{t: t, name: name, cmd: cmd, log: log, exited: make(chan struct{})}
	require.NoError(t, cmd.Start())
	go func() {
		defer close(p.exited)
		_ = cmd.Wait()
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-p.exited
		if t.Failed() {
			t.Logf("the end of what %s said:\n%s", name, tail(p.said(), 6000))
		}
	})
	return p
}

func (p *process) said() string {
	text, err := os.ReadFile(p.log)
	require.NoError(p.t, err)
	return string(text)
}

func tail(text string, n int) string { return text[max(0, len(text)-n):] }

// end sends the signal and waits for the process.
func (p *process) end(signal os.Signal) {
	p.t.Helper()
	require.NoError(p.t, p.cmd.Process.Signal(signal))
	select {
	case <-p.exited:
	case <-time.After(3 * time.Minute):
		require.Fail(p.t, p.name+" does not end")
	}
}

func (p *process) gone() bool {
	select {
	case <-p.exited:
		return true
	default:
		return false
	}
}

// usage is what a process takes. CPU seconds are also those of its children that
// have ended.
type usage struct {
	rss   int64 // bytes
	cpu   float64
	files int
}

// clockTicks is the kernel's unit of CPU time for programs, the same on all
// machines.
const clockTicks = 100

func usageOf(pid int) (usage, error) {
	dir := filepath.Join("/proc", strconv.Itoa(pid))
	stat, err := os.ReadFile(filepath.Join(dir, "stat"))
	if err != nil {
		return usage{}, err
	}
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) < 22 {
		return usage{}, fmt.Errorf("%s/stat has %d fields", dir, len(fields))
	}
	var u usage
	for _, f := range fields[11:15] { // utime, stime, cutime, cstime
		n, err := strconv.ParseFloat(f, 64)
		if err != nil {
			return usage{}, err
		}
		u.cpu += n / clockTicks
	}
	pages, err := strconv.ParseInt(fields[21], 10, 64)
	if err != nil {
		return usage{}, err
	}
	u.rss = pages * int64(os.Getpagesize())
	open, err := os.ReadDir(filepath.Join(dir, "fd"))
	u.files = len(open)
	return u, err
}

// cpu is what the process took so far, or in all.
func (p *process) cpu() float64 {
	if p.gone() {
		s := p.cmd.ProcessState
		return s.UserTime().Seconds() + s.SystemTime().Seconds()
	}
	u, err := usageOf(p.cmd.Process.Pid)
	if err != nil { // it has ended since
		<-p.exited
		return p.cpu()
	}
	return u.cpu
}
