package cli

import "github.com/spf13/cobra"

// temporalCommands are the commands that speak to a Temporal server.
func temporalCommands(a *app) []*cobra.Command { return nil }
