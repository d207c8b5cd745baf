package main

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// release builds everything into out: the archive, the list of what each
// program holds, and SHA256SUMS.
func (p *plan) release(ctx context.Context, out string) error {
	name := fmt.Sprintf("canvasback-%s-%s-%s", p.version, runtime.GOOS, runtime.GOARCH)
	stage, err := os.MkdirTemp("", "canvasback-release-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(stage)
	tree := filepath.Join(stage, name)
	for _, dir := range []string{"bin", "completions", "man/man1", "sbom"} {
		if err := os.MkdirAll(filepath.Join(tree, dir), 0o755); err != nil {
			return err
		}
	}
	for _, program := range p.programs {
		file := filepath.Join(tree, "bin", program)
		if err := p.build(ctx, program, file); err != nil {
			return err
		}
		if err := p.contents(ctx, program, file, filepath.Join(tree, "sbom", program+".cdx.json")); err != nil {
			return err
		}
	}
	if err := p.papers(ctx, tree); err != nil {
		return err
	}
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	archive := filepath.Join(out, name+".tar.gz")
	if err := p.pack(tree, archive); err != nil {
		return err
	}
	sum, err := sumOf(archive)
	if err != nil {
		return err
	}
	fmt.Printf("%s  %s\n", sum, archive)
	return os.WriteFile(filepath.Join(out, "SHA256SUMS"), []byte(sum+"  "+filepath.Base(archive)+"\n"), 0o644)
}

// papers are what goes with the programs. The completions come from the starter
// that was built, the man pages from programs that only write them.
func (p *plan) papers(ctx context.Context, tree string) error {
	for _, name := range []string{"README.md", "CHANGELOG.md"} {
		text, err := os.ReadFile(filepath.Join(p.source, name))
		if err == nil {
			err = os.WriteFile(filepath.Join(tree, name), text, 0o644)
		}
		if err != nil {
			return err
		}
	}
	for _, program := range []string{"starter", "worker"} {
		if err := p.goCommand(ctx, p.source, "run", "-tags", "manual", "./"+program, filepath.Join(tree, "man", "man1"), strconv.FormatInt(p.epoch, 10)); err != nil {
			return err
		}
	}
	starter := filepath.Join(tree, "bin", "starter")
	if _, err := os.Stat(starter); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for shell, file := range map[string]string{"bash": "starter.bash", "zsh": "_starter", "fish": "starter.fish"} {
		script, err := exec.CommandContext(ctx, starter, "completion", shell).Output()
		if err != nil {
			return fmt.Errorf("completions of %s: %w", shell, err)
		}
		if err := os.WriteFile(filepath.Join(tree, "completions", file), script, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// pack writes the tree in the order of its names, with the plan's time, no owner
// and modes that do not depend on the machine.
func (p *plan) pack(tree, file string) (err error) {
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	packed, err := gzip.NewWriterLevel(f, gzip.BestCompression) // its header has no name and no time
	if err != nil {
		return err
	}
	archive := tar.NewWriter(packed)
	err = filepath.WalkDir(tree, func(at string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(filepath.Dir(tree), at)
		if err != nil {
			return err
		}
		return p.add(archive, at, filepath.ToSlash(rel), d)
	})
	return errors.Join(err, archive.Close(), packed.Close())
}

func (p *plan) add(archive *tar.Writer, at, name string, d fs.DirEntry) error {
	h := &tar.Header{Name: name, Mode: 0o644, ModTime: time.Unix(p.epoch, 0).UTC(), Format: tar.FormatPAX, Typeflag: tar.TypeReg}
	if d.IsDir() {
		h.Name, h.Mode, h.Typeflag = name+"/", 0o755, tar.TypeDir
		return archive.WriteHeader(h)
	}
	if path.Base(path.Dir(name)) == "bin" {
		h.Mode = 0o755
	}
	f, err := os.Open(at)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	h.Size = info.Size()
	if err := archive.WriteHeader(h); err != nil {
		return err
	}
	_, err = io.Copy(archive, f)
	return err
}

// trimmed is a version as SBOMs have it.
func trimmed(version string) string { return strings.TrimPrefix(version, "v") }
