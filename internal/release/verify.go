package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

// verify builds each program in two clones of the repository in different
// places, each with a cache of its own that is empty, and compares.
func (p *plan) verify(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "canvasback-release-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	var sums [2]map[string]string
	for i, place := range []string{filepath.Join(dir, "one"), filepath.Join(dir, "elsewhere", "a", "second", "time")} {
		began := time.Now()
		if sums[i], err = p.builtIn(ctx, place); err != nil {
			return err
		}
		fmt.Printf("build %d took %s\n", i+1, time.Since(began).Round(time.Second))
	}
	for _, name := range p.programs {
		fmt.Printf("%s  %s\n", sums[0][name], name)
		if sums[0][name] != sums[1][name] {
			return fmt.Errorf("%s is not the same when it is built again: %s", name, sums[1][name])
		}
	}
	return nil
}

func (p *plan) builtIn(ctx context.Context, place string) (map[string]string, error) {
	clone := *p
	clone.source, clone.cache = filepath.Join(place, "source"), filepath.Join(place, "cache")
	if _, err := git(ctx, ".", "clone", "--quiet", "--no-local", "--no-hardlinks", p.source, clone.source); err != nil {
		return nil, err
	}
	if _, err := git(ctx, clone.source, "checkout", "--quiet", p.revision); err != nil {
		return nil, err
	}
	defer os.RemoveAll(clone.cache)
	sums := map[string]string{}
	for _, name := range p.programs {
		file := filepath.Join(place, name)
		if err := clone.build(ctx, name, file); err != nil {
			return nil, err
		}
		sum, err := sumOf(file)
		if err != nil {
			return nil, err
		}
		sums[name] = sum
	}
	return sums, nil
}

func sumOf(file string) (string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
