package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"time"
)

// lister makes the list of a program's modules from the program itself.
const lister = "github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@v1.10.0"

// contents writes the list of what is in a program in CycloneDX's JSON: the
// modules that the Go linker recorded, and DuckDB, which is linked as C++.
func (p *plan) contents(ctx context.Context, program, file, to string) error {
	raw := to + ".raw"
	if err := p.goCommand(ctx, p.source, "run", lister, "bin", "-json", "-std", "-noserial", "-version", p.version, "-output", raw, file); err != nil {
		return fmt.Errorf("list what is in %s: %w", program, err)
	}
	text, err := os.ReadFile(raw)
	if err = errors.Join(err, os.Remove(raw)); err != nil {
		return err
	}
	engine, err := linkedEngine(ctx, file)
	if err != nil {
		return fmt.Errorf("engine of %s: %w", program, err)
	}
	if text, err = p.complete(text, engine); err != nil {
		return fmt.Errorf("list of %s: %w", program, err)
	}
	return os.WriteFile(to, text, 0o644)
}

// linkedEngine asks the program itself; standalone, which has no such command,
// is given the version that the starter is built with.
func linkedEngine(ctx context.Context, file string) (string, error) {
	out, err := exec.CommandContext(ctx, file, "version", "--json").Output()
	if err != nil {
		return "", nil
	}
	var doc struct{ Engine string }
	return doc.Engine, json.Unmarshal(out, &doc)
}

// complete takes the serial number and the time of the making out, which would
// be others each time, and adds the engine.
func (p *plan) complete(text []byte, engine string) ([]byte, error) {
	var bom map[string]any
	if err := json.Unmarshal(text, &bom); err != nil {
		return nil, err
	}
	delete(bom, "serialNumber")
	meta, ok := bom["metadata"].(map[string]any)
	if !ok {
		return nil, errors.New("no metadata")
	}
	meta["timestamp"] = time.Unix(p.epoch, 0).UTC().Format(time.RFC3339)
	components, ok := bom["components"].([]any)
	if !ok || len(components) == 0 {
		return nil, errors.New("no components")
	}
	if engine != "" {
		purl := "pkg:github/duckdb/duckdb@" + engine
		bom["components"] = append(components, map[string]any{
			"bom-ref": purl, "type": "library", "name": "duckdb", "version": trimmed(engine), "purl": purl,
			"description": "linked statically, from the prebuilt library in duckdb-go-bindings",
			"licenses":    []any{map[string]any{"license": map[string]any{"id": "MIT"}}},
		})
	}
	out, err := json.MarshalIndent(bom, "", "  ")
	return append(out, '\n'), err
}
