package cli

import (
	"io"

	"github.com/spf13/cobra"

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
			info := version.Read(a.ctx)
			return a.result(info, func(w io.Writer) error { return info.Write(w) })
		},
	}
}
