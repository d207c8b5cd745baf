package cli

import (
	"io"

	"github.com/spf13/cobra"

	"canvasback/internal/engine"
	"canvasback/internal/version"
)

func newVersionCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version of this program, of the engine inside and of the storage it reads",
		Long: `Print the version of this program and of what it is built from: the DuckDB inside,
which verifies backups, the storage versions whose backups can be verified with
it, and those of which copies are made.`,
		Example: `  starter version
  starter version --json`,
		RunE: func(*cobra.Command, []string) error {
			linked, _ := engine.Linked(a.ctx) // one that does not start is left out
			info := version.OfBuild().With(linked)
			return a.result(info, func(w io.Writer) error { return info.Write(w) })
		},
	}
}
