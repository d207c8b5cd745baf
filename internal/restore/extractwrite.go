package restore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"canvasback/internal/engine"
	"canvasback/internal/failure"
	"canvasback/internal/repo"
)

// write lets the engine write, and compares the result with the manifest. It
// returns the staged file or directory.
func (x *extract) write(ctx context.Context, path string) (staged string, err error) {
	req := engine.ExtractRequest{
		Path: path, ReadWrite: x.scratch, Key: x.req.Engine.Key, TempDir: x.stage,
		MemoryLimit: x.req.Engine.MemoryLimit, Threads: x.req.Engine.Threads, Timeout: x.req.Engine.Timeout,
		Progress: func(done, total int) { x.req.Progress(PhaseTables, int64(done), int64(total)) },
	}
	for _, t := range x.want {
		req.Tables = append(req.Tables, t.Name)
	}
	if x.want == nil {
		for _, name := range x.req.Tables {
			if !strings.Contains(name, ".") {
				name = "main." + name
			}
			req.Tables = append(req.Tables, name)
		}
	}
	if x.req.Export {
		staged = filepath.Join(x.stage, stagedExport)
		if err := x.fs.Mkdir(staged, 0o700); err != nil {
			return "", targetError(err, "make %s", staged)
		}
		req.Dir = staged
	} else {
		staged = filepath.Join(x.stage, stagedTables)
		req.File = staged
	}
	report, err := engine.Extract(ctx, req)
	if err != nil {
		err = engineFailure(ctx, x.source, err)
		if failure.Of(err) == failure.BackupBad {
			// It may as well be what was written that the engine refused.
			err = failure.Errorf(failure.NotExtracted, "%w", err)
		}
		return "", err
	}
	x.result.Engine, x.result.Storage = report.Engine, report.Storage
	x.result.Notes = append(x.result.Notes, report.Notes...)
	x.result.Tables = x.result.Tables[:0]
	for _, t := range report.Tables {
		x.result.Tables = append(x.result.Tables, ExtractTable{Name: t.Name, Rows: t.Rows, File: t.File, AsText: t.AsText, LeftOut: t.Left})
	}
	slices.SortFunc(x.result.Tables, func(a, b ExtractTable) int { return strings.Compare(a.Name, b.Name) })
	if err := x.compare(ctx, staged); err != nil {
		return "", err
	}
	if x.req.Export {
		return staged, x.describe(staged, report)
	}
	return staged, nil
}

// compare holds what was written to the manifest.
func (x *extract) compare(ctx context.Context, staged string) error {
	var got []repo.Table
	if x.req.Export {
		for _, t := range x.result.Tables {
			got = append(got, repo.Table{Name: t.Name, Rows: t.Rows})
		}
	} else {
		x.req.Progress(PhaseCheck, 0, int64(len(x.result.Tables)))
		e := x.req.Engine
		e.Command, e.Scratch = nil, x.stage
		var err error
		if got, err = e.scan(ctx, staged, false); err != nil {
			return err
		}
		for i := range x.result.Tables {
			for _, t := range got {
				if t.Name == x.result.Tables[i].Name {
					x.result.Tables[i].Fingerprint = t.Fingerprint
				}
			}
		}
	}
	if x.want == nil {
		x.result.Unchecked = "the backup was never read, so there is nothing to compare its tables with"
		return nil
	}
	if diff := Difference(x.manifest.Verification, x.want, got); diff != "" {
		return failure.Errorf(failure.BackupBad, "nothing is put at %s: what was written does not read as backup %s did when it was verified: %s", x.target, x.manifest.ID, diff)
	}
	return nil
}

// describe adds what makes the tables again, and a list of the files.
func (x *extract) describe(dir string, report *engine.ExtractReport) error {
	for i, t := range x.result.Tables {
		info, err := x.fs.Stat(filepath.Join(dir, t.File))
		if err != nil {
			return targetError(err, "look at %s", t.File)
		}
		x.result.Tables[i].Bytes = info.Size
	}
	doc, err := json.MarshalIndent(struct {
		Choice
		Engine string         `json:"engine"`
		Tables []ExtractTable `json:"tables"`
	}{x.result.Choice, report.Engine, x.result.Tables}, "", "  ")
	if err != nil {
		return fmt.Errorf("encode %s: %w", exportDoc, err)
	}
	schema := fmt.Sprintf(schemaComment, x.manifest.ID, x.manifest.Database, report.Engine) + strings.Join(report.Schema, "\n") + "\n"
	for name, text := range map[string]string{exportDoc: string(doc) + "\n", exportSchema: schema} {
		if err := x.writeFile(filepath.Join(dir, name), text); err != nil {
			return err
		}
	}
	return nil
}

func (x *extract) writeFile(name, text string) error {
	f, err := x.fs.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return targetError(err, "make %s", name)
	}
	_, err = f.Write([]byte(text))
	if err = errors.Join(err, f.Close()); err != nil {
		return targetError(err, "write %s", name)
	}
	return nil
}

// sync makes the staged file, or the directory and all in it, durable.
func (x *extract) sync(staged string) error {
	files := []string{staged}
	if x.req.Export {
		entries, err := x.fs.ReadDir(staged)
		if err != nil {
			return targetError(err, "list %s", staged)
		}
		files = nil
		for _, e := range entries {
			files = append(files, filepath.Join(staged, e.Name()))
		}
	}
	for _, name := range files {
		f, err := x.fs.OpenFile(name, os.O_RDWR, 0)
		if err != nil {
			return targetError(err, "open %s", name)
		}
		info, err := f.Stat()
		if err == nil {
			x.result.Bytes += info.Size
			err = f.Sync()
		}
		if err = errors.Join(err, f.Close()); err != nil {
			return targetError(err, "sync %s", name)
		}
	}
	if x.req.Export {
		if err := x.fs.SyncDir(staged); err != nil {
			return targetError(err, "sync the directory %s", staged)
		}
		return nil
	}
	left, err := x.exists(staged + ".wal")
	if err == nil && left {
		err = failure.Errorf(failure.Engine, "the engine left a WAL beside %s", staged)
	}
	return err
}
