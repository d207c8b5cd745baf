package doctor

import (
	"debug/buildinfo"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// processVersion finds the DuckDB in another process, as far as its files tell:
// the modules of a Go program, the package around a mapped library of Python or
// Node.js.
func processVersion(pid int) known {
	dir := filepath.Join("/proc", strconv.Itoa(pid))
	if v := goVersion(filepath.Join(dir, "exe")); v != "" {
		return known{v, "the modules of its program"}
	}
	root := filepath.Join(dir, "root")
	for _, lib := range mapped(dir) {
		if v := packageVersion(root, lib); v != "" {
			return known{v, "the package of " + lib}
		}
	}
	return known{}
}

// bindings is the version of the library in a module of DuckDB's bindings for
// Go: v0.10506.0 holds 1.5.6.
var bindings = regexp.MustCompile(`^v0\.([1-9])([0-9]{2})([0-9]{2})\.[0-9]+$`)

func goVersion(program string) string {
	info, err := buildinfo.ReadFile(program)
	if err != nil {
		return ""
	}
	for _, dep := range info.Deps {
		if dep.Path != "github.com/duckdb/duckdb-go-bindings" {
			continue
		}
		m := bindings.FindStringSubmatch(dep.Version)
		if m == nil {
			return ""
		}
		minor, _ := strconv.Atoi(m[2])
		patch, _ := strconv.Atoi(m[3])
		return fmt.Sprintf("%s.%d.%d", m[1], minor, patch)
	}
	return ""
}

// mapped lists the files that a process has mapped and that are named for
// DuckDB.
func mapped(dir string) []string {
	text, err := os.ReadFile(filepath.Join(dir, "maps"))
	if err != nil {
		return nil
	}
	var files []string
	last := ""
	for line := range strings.Lines(string(text)) {
		i := strings.IndexByte(line, '/')
		if i < 0 {
			continue
		}
		file := strings.TrimSpace(line[i:])
		if file != last && strings.Contains(file, "duckdb") && !strings.HasSuffix(file, "(deleted)") {
			files, last = append(files, file), file
		}
	}
	return files
}

var distInfo = regexp.MustCompile(`^duckdb-([0-9]+\.[0-9]+\.[0-9]+)(\.post[0-9]+)?\.dist-info$`)

// packageVersion looks at the directories above a library, below root, for the
// package that it came in.
func packageVersion(root, lib string) string {
	dir := filepath.Dir(lib)
	for range 3 {
		if entries, err := os.ReadDir(filepath.Join(root, dir)); err == nil {
			for _, e := range entries {
				if m := distInfo.FindStringSubmatch(e.Name()); m != nil {
					return m[1]
				}
				if e.Name() == "package.json" {
					if v := nodeVersion(filepath.Join(root, dir, e.Name())); v != "" {
						return v
					}
				}
			}
		}
		dir = filepath.Dir(dir)
	}
	return ""
}

var leading = regexp.MustCompile(`^[0-9]+\.[0-9]+\.[0-9]+`)

// nodeVersion reads the package file of DuckDB's bindings: "1.5.5-r.1" is 1.5.5.
func nodeVersion(file string) string {
	text, err := os.ReadFile(file)
	if err != nil {
		return ""
	}
	var p struct{ Name, Version string }
	if json.Unmarshal(text, &p) != nil || !strings.Contains(p.Name, "duckdb") {
		return ""
	}
	return leading.FindString(p.Version)
}
