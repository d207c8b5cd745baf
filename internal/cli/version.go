package cli

import (
	"fmt"
	"io"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// versionDoc is what this program was built from.
type versionDoc struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"`
	Modified bool   `json:"modified,omitempty"`
	Driver   string `json:"duckdb_driver,omitempty"`
	Go       string `json:"go"`
}

func newVersionCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version of this program and of what it is built from",
		Example: `  starter version
  starter version --json`,
		RunE: func(*cobra.Command, []string) error {
			doc := buildVersion()
			return a.result(doc, func(w io.Writer) error {
				rows := []field{{"canvasback", doc.Version}, {"duckdb driver", doc.Driver}, {"go", doc.Go}}
				if doc.Revision != "" {
					rows = append(rows, field{"revision", fmt.Sprintf("%s (modified: %t)", doc.Revision, doc.Modified)})
				}
				return writeFields(w, rows)
			})
		},
	}
}

// buildVersion reads what the Go linker recorded.
func buildVersion() versionDoc {
	doc := versionDoc{Version: "devel", Go: runtime.Version()}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return doc
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		doc.Version = v
	}
	for _, dep := range info.Deps {
		if dep.Path == "github.com/duckdb/duckdb-go/v2" {
			doc.Driver = dep.Version
		}
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			doc.Revision = s.Value
		case "vcs.modified":
			doc.Modified = s.Value == "true"
		}
	}
	return doc
}
