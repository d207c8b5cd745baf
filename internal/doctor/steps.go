package doctor

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/url"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"canvasback/internal/config"
	"canvasback/internal/engine"
	"canvasback/internal/failure"
	"canvasback/internal/hook"
)

// engineStarts starts the engine that verifies, with the limits that it will
// get. What it spills goes into the repository, which has a check of its own.
func (s *subject) engineStarts(ctx context.Context) Finding {
	const check = "engine.starts"
	req := engine.ProbeRequest{MemoryLimit: s.db.Verify.MemoryLimit, Threads: s.db.Verify.Threads, Timeout: probeTimeout, Command: s.db.Engine.Command}
	name, mend := "the engine inside this program", failure.Engine.Hint
	if len(req.Command) > 0 {
		name, mend = strings.Join(req.Command, " "), "engine: {command: [FILE]} (the DuckDB command-line shell, of 1.1 or newer), or leave it out"
	}
	if req.MemoryLimit != "" {
		mend += "; look at verify.memory_limit: " + req.MemoryLimit
	}
	version, err := engine.Probe(ctx, req)
	if err != nil {
		return finding(check, Fail, mend, "%s does not start: %v", name, err)
	}
	return finding(check, OK, "", "%s starts: DuckDB %s", name, version)
}

// checkpointHook looks at what would be asked for a checkpoint.
func (s *subject) checkpointHook(ctx context.Context) Finding {
	const check = "hook.checkpoint"
	c := s.db.Checkpoint
	switch c.Mode {
	case config.CheckpointCommand:
		return s.command(check, c.Command, c.OnError)
	case config.CheckpointHTTP:
		return s.listens(ctx, check, c.URL, c.Socket, c.OnError)
	case config.CheckpointOpen:
		if s.seen != nil && s.seen.Owner != nil {
			return finding(check, Warn, "checkpoint: {mode: http} or {mode: command}", "mode is open, and %s holds the database: it will not be checkpointed while that runs", people([]int{s.seen.Owner.PID}))
		}
		if err := writable(filepath.Dir(s.db.Path)); err != nil {
			return finding(check, Fail, "checkpoint: {mode: none}, or let "+userName()+" write "+filepath.Dir(s.db.Path), "mode is open, and the database's directory may not be written: %v", err)
		}
	}
	return finding(check, OK, "", "mode is %s", c.Mode)
}

// holdHook looks at what would be asked for a hold, and asks an http one for its
// state, which changes nothing.
func (s *subject) holdHook(ctx context.Context) Finding {
	const check = "hook.hold"
	h := s.db.Hold
	switch h.Mode {
	case config.HoldCommand:
		return s.command(check, h.Command, h.OnError)
	case config.HoldHTTP:
		f := s.listens(ctx, check, h.URL, h.Socket, h.OnError)
		if f.Status != OK {
			return f
		}
		ctx, cancel := context.WithTimeout(ctx, time.Duration(h.Timeout))
		defer cancel()
		answer, err := hook.Get(ctx, statusOf(h.URL), h.Socket)
		var status *hook.StatusError
		switch {
		case err == nil && len(answer) <= hook.MaxAnswer:
			return finding(check, OK, "", "%s answers", hook.Shown(statusOf(h.URL)))
		case errors.As(err, &status) && (status.Code == 404 || status.Code == 405):
			return finding(check, OK, "", "%s; it has no /status", f.Found)
		case err == nil:
			err = fmt.Errorf("more than %d bytes", hook.MaxAnswer)
		}
		return finding(check, worse(h.OnError), "look at the service's log", "%s does not answer well: %v", hook.Shown(statusOf(h.URL)), err)
	}
	return finding(check, OK, "", "mode is %s", h.Mode)
}

// worse is how bad a hook is that cannot work: without it the backup goes on,
// or it does not.
func worse(onError string) Status {
	if onError == config.OnErrorFail {
		return Fail
	}
	return Warn
}

// command checks that a hook's program is there and may be run. It is not run.
func (s *subject) command(check string, argv []string, onError string) Finding {
	program, err := exec.LookPath(argv[0])
	if err != nil {
		return finding(check, worse(onError), fmt.Sprintf("chmod 0755 %s, or name the program that is meant", argv[0]), "%v", err)
	}
	return finding(check, OK, "", "%s can be run (it was not)", program)
}

// listens connects to a hook's server and says nothing.
func (s *subject) listens(ctx context.Context, check, address, socket, onError string) Finding {
	network, target := "unix", socket
	if socket == "" {
		u, err := url.Parse(address)
		if err != nil {
			return finding(check, Fail, "url: http://127.0.0.1:PORT/PATH", "%v", err)
		}
		network, target = "tcp", u.Host
		if u.Port() == "" {
			target = net.JoinHostPort(u.Hostname(), "80")
		}
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, network, target)
	if err != nil {
		mend := "start the service, or put its address into url"
		if socket != "" {
			mend = fmt.Sprintf("start the service, and let %s write %s", userName(), socket)
		}
		return finding(check, worse(onError), mend, "nothing answers at %s: %v", target, err)
	}
	_ = conn.Close()
	return finding(check, OK, "", "something listens at %s (it was not asked for anything)", target)
}

func (s *subject) drillDirectory() Finding {
	const check = "drill.directory"
	if s.db.Drill.Directory == "" {
		return finding(check, OK, "", "drills restore into the repository")
	}
	return s.directory(check, s.db.Drill.Directory)
}

// restoreTargets checks the directories that restores through Temporal go to.
func (s *subject) restoreTargets() []Finding {
	var findings []Finding
	for _, name := range slices.Sorted(maps.Keys(s.db.Restore.Targets)) {
		f := s.directory("restore.target", filepath.Dir(s.db.Restore.Targets[name]))
		f.Found = name + ": " + f.Found
		findings = append(findings, f)
	}
	return findings
}

// directory checks that files can be made there, and makes none.
func (s *subject) directory(check, dir string) Finding {
	make := fmt.Sprintf("install -d -m 0700 -o %s %s", userName(), dir)
	info, err := s.FS.Stat(dir)
	switch {
	case err != nil:
		return finding(check, Fail, make, "%v", err)
	case !info.Mode.IsDir():
		return finding(check, Fail, make, "%s is not a directory", dir)
	}
	if err := writable(dir); err != nil {
		return finding(check, Fail, fmt.Sprintf("setfacl -m u:%s:rwx %s", userName(), dir), "%s may not make files in %s: %v", userName(), dir, err)
	}
	return finding(check, OK, "", "%s, writable", dir)
}
