// Package version says what a program of this module was built from, and which
// storage versions it copies and its engine reads.
package version

import (
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"text/tabwriter"

	"canvasback/internal/duckfile"
)

// Set by the linker in released programs, such as
// -X canvasback/internal/version.release=1.2.3. They say the same wherever the
// same files are built, in a repository or out of one.
var release, revision string

// Info is the version of a program and of its parts. Storage versions are those
// of DuckDB's main header, lowest and highest.
type Info struct {
	Version  string `json:"version"` // devel: no release, and not built from a repository
	Revision string `json:"revision,omitempty"`
	Modified bool   `json:"modified,omitempty"` // it was built from changed files
	Engine   string `json:"engine,omitempty"`   // the linked DuckDB; empty: it does not start here
	// Verified are the storage versions that the engine opens, so that their
	// backups end as verified; Copied those of which copies are made.
	Verified string `json:"storage_verified,omitempty"`
	Copied   string `json:"storage_copied"`
	Driver   string `json:"duckdb_driver,omitempty"`
	SDK      string `json:"temporal_sdk,omitempty"`
	Server   string `json:"temporal_server,omitempty"` // of the one inside standalone
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

// With adds the version of the engine inside, such as "v1.5.6"; empty: it does
// not start, which doctor tells about.
func (i Info) With(engine string) Info {
	i.Engine = engine
	if r, ok := duckfile.ReleaseOf(engine); ok {
		i.Verified = fmt.Sprintf("%d to %d", duckfile.MinVersion, r.Version)
	}
	return i
}

// String is the version alone, for records and messages: "1.2.3", or "devel".
func String() string { return OfBuild().Version }

// OfBuild is what the linker recorded.
func OfBuild() Info {
	info := Info{
		Version: "devel", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH,
		Copied: fmt.Sprintf("%d to %d", duckfile.MinVersion, duckfile.MaxVersion),
	}
	if b, ok := debug.ReadBuildInfo(); ok {
		info.fromBuild(b)
	}
	if release != "" {
		info.Version, info.Revision, info.Modified = release, revision, false
	}
	return info
}

func (i *Info) fromBuild(b *debug.BuildInfo) {
	if v := b.Main.Version; v != "" && v != "(devel)" {
		i.Version = v
	}
	for _, dep := range b.Deps {
		switch dep.Path {
		case "github.com/duckdb/duckdb-go/v2":
			i.Driver = dep.Version
		case "go.temporal.io/sdk":
			i.SDK = dep.Version
		case "go.temporal.io/server":
			i.Server = dep.Version
		}
	}
	for _, s := range b.Settings {
		switch s.Key {
		case "vcs.revision":
			i.Revision = s.Value
		case "vcs.modified":
			i.Modified = s.Value == "true"
		}
	}
}

// Write writes aligned lines for a person, leaving out what is not known.
func (i Info) Write(w io.Writer) error {
	revision := i.Revision
	if i.Modified {
		revision += ", modified"
	}
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, line := range [][2]string{
		{"canvasback", i.Version}, {"revision", revision}, {"engine", i.Engine},
		{"verifies storage", i.Verified}, {"copies storage", i.Copied},
		{"duckdb driver", i.Driver}, {"temporal sdk", i.SDK}, {"temporal server", i.Server}, {"go", i.Go + " " + i.Platform},
	} {
		if line[1] != "" {
			fmt.Fprintf(tw, "%s\t%s\n", line[0], line[1])
		}
	}
	return tw.Flush()
}
