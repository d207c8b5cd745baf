package cli

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"canvasback/internal/failure"
)

// exitStatus ends the help of every command.
const exitStatus = `
Exit status:
    0  done
    1  failed
    2  wrong usage or configuration
    3  partly done, or an objective is missed
    4  the backup is bad
    5  not found
  130  interrupted
`

// newRoot builds the command tree. Cobra's own printing is off: Main prints.
func newRoot(a *app) *cobra.Command {
	root := &cobra.Command{
		Use:   "starter",
		Short: "Back up DuckDB databases that another process holds open",
		Long: `Back up DuckDB databases that another process holds open, verify the copies,
restore them. The commands of the first group work on files and need no server;
those of the second start, watch and stop the backups that Temporal runs.`,
		SilenceErrors:     true,
		SilenceUsage:      true,
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true, DisableDefaultCmd: true},
	}
	root.PersistentFlags().BoolVar(&a.json, "json", false, "print one JSON document and nothing else on standard output")
	root.AddGroup(
		&cobra.Group{ID: groupLocal, Title: "On files, without a server:"},
		&cobra.Group{ID: groupTemporal, Title: "Through Temporal:"},
	)
	addTo(root, groupLocal,
		newBackupCommand(a),
		newListCommand(a),
		newInspectCommand(a),
		newRestoreCommand(a),
		newVerifyCommand(a),
		newCheckCommand(a),
		newPruneCommand(a),
		newPinCommand(a),
		newUnpinCommand(a),
		newUndeleteCommand(a),
		newNotifyCommand(a),
		newCodecCommand(a),
		newDoctorCommand(a),
		newVersionCommand(a),
		newCompletionCommand(a),
	)
	addTo(root, groupTemporal, temporalCommands(a)...)
	root.SetUsageTemplate(root.UsageTemplate() + exitStatus)
	completeFlags(root)
	guard(a, root)
	return root
}

const (
	groupLocal    = "local"
	groupTemporal = "temporal"
)

func addTo(root *cobra.Command, group string, commands ...*cobra.Command) {
	for _, cmd := range commands {
		cmd.GroupID = group
		root.AddCommand(cmd)
	}
}

// guard prepares cmd and everything below it: Main can tell a wrong command
// line from a command that failed, and a command that only holds others
// refuses to be run by itself instead of printing its help as if that were
// a success.
func guard(a *app, cmd *cobra.Command) {
	for _, sub := range cmd.Commands() {
		guard(a, sub)
	}
	if cmd.Args == nil {
		cmd.Args = noArgs
	}
	if cmd.HasSubCommands() && cmd.RunE == nil {
		cmd.Args = cobra.ArbitraryArgs
		cmd.RunE = func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usagef("unknown command %q for %q", args[0], cmd.CommandPath())
			}
			return usagef("%q needs a command: %s", cmd.CommandPath(), strings.Join(names(cmd), ", "))
		}
	}
	run := cmd.RunE
	if run == nil {
		return
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		a.started = true
		return run(cmd, args)
	}
}

// noArgs is for the commands that take flags only.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usagef("unexpected argument %q: %q takes flags only", args[0], cmd.CommandPath())
	}
	return nil
}

// names lists the commands that can be typed after cmd.
func names(cmd *cobra.Command) []string {
	var out []string
	for _, sub := range cmd.Commands() {
		if sub.IsAvailableCommand() {
			out = append(out, sub.Name())
		}
	}
	return out
}

// usagef makes the failure of a wrong command line.
func usagef(format string, args ...any) error {
	return failure.Errorf(failure.Usage, format, args...)
}

// Tree is the starter's commands, to be described and not to be run.
func Tree() *cobra.Command { return newRoot(&app{ctx: context.Background()}) }
