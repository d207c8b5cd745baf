// Package versioncmd is the command 'version' of the programs that have no other
// commands' frame to fit in: the worker and standalone.
package versioncmd

import (
	"encoding/json"

	"github.com/spf13/cobra"

	"canvasback/internal/engine"
	"canvasback/internal/version"
)

// New is what 'starter version' is, of another program.
func New(program string) *cobra.Command {
	asJSON := false
	cmd := &cobra.Command{
		Use:     "version",
		Short:   "Print the version of this program, of the engine inside and of the storage it reads",
		Example: "  " + program + " version --json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			linked, _ := engine.Linked(cmd.Context()) // one that does not start is left out
			info := version.OfBuild().With(linked)
			if !asJSON {
				return info.Write(cmd.OutOrStdout())
			}
			enc := json.NewEncoder(cmd.OutOrStdout())
			enc.SetIndent("", "  ")
			return enc.Encode(info)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON document")
	return cmd
}
