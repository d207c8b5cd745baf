// Package cli holds the starter's commands. Results go to standard output,
// everything else to standard error; with --json standard output carries
// exactly one JSON document, whether the command succeeds or fails. The exit
// status comes from the table in package failure.
//
// A command is a function newXCommand(a *app) *cobra.Command in a file of its
// own. It reports its outcome once, through app.result, and returns a failure
// for everything that went wrong; it prints no error itself and never exits.
package cli
