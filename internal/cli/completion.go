package cli

import (
	"bytes"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"canvasback/internal/config"
	"canvasback/internal/repo"
)

// shells are those that completions can be had for, and how each is written.
var shells = map[string]func(root *cobra.Command, w io.Writer) error{
	"bash":       func(root *cobra.Command, w io.Writer) error { return root.GenBashCompletionV2(w, true) },
	"zsh":        func(root *cobra.Command, w io.Writer) error { return root.GenZshCompletion(w) },
	"fish":       func(root *cobra.Command, w io.Writer) error { return root.GenFishCompletion(w, true) },
	"powershell": func(root *cobra.Command, w io.Writer) error { return root.GenPowerShellCompletionWithDesc(w) },
}

func newCompletionCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "completion bash|zsh|fish|powershell",
		Short: "Print the completions of a shell",
		Long: `Print a script that teaches a shell the commands and flags. The names of
databases and the IDs of backups are completed, too, once --repository or
--config is on the line.`,
		Example: `  starter completion bash >/etc/bash_completion.d/starter
  starter completion zsh >"${fpath[1]}/_starter"
  starter completion fish >~/.config/fish/completions/starter.fish`,
		ValidArgs: []string{"bash", "zsh", "fish", "powershell"},
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 || shells[args[0]] == nil {
				return usagef("completion takes the name of a shell: bash, zsh, fish or powershell")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			var script bytes.Buffer
			if err := shells[args[0]](cmd.Root(), &script); err != nil {
				return fmt.Errorf("write the completions of %s: %w", args[0], err)
			}
			doc := struct {
				Shell  string `json:"shell"`
				Script string `json:"script"`
			}{args[0], script.String()}
			return a.result(doc, func(w io.Writer) error {
				_, err := script.WriteTo(w)
				return err
			})
		},
	}
}

// completeFlags teaches cmd and everything below it what can follow a flag.
func completeFlags(cmd *cobra.Command) {
	for _, sub := range cmd.Commands() {
		completeFlags(sub)
	}
	for name, values := range map[string]func(cmd *cobra.Command) []string{"database": databaseNames, "backup": backupIDs} {
		if cmd.Flags().Lookup(name) != nil {
			must(cmd.RegisterFlagCompletionFunc(name, func(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
				return values(cmd), cobra.ShellCompDirectiveNoFileComp
			}))
		}
	}
	if cmd.Flags().Lookup("repository") != nil {
		must(cmd.MarkFlagDirname("repository"))
	}
	if cmd.Flags().Lookup("config") != nil {
		must(cmd.MarkFlagFilename("config", "yaml", "yml"))
	}
}

// flagText is the value of a flag that is on the line already.
func flagText(cmd *cobra.Command, name string) string {
	if f := cmd.Flags().Lookup(name); f != nil {
		return f.Value.String()
	}
	return ""
}

// databaseNames are those of the configuration, else those of the repository.
// What cannot be read completes nothing.
func databaseNames(cmd *cobra.Command) []string {
	if file := flagText(cmd, "config"); file != "" {
		cfg, err := config.Load(file)
		if err != nil {
			return nil
		}
		var names []string
		for _, d := range cfg.Databases {
			names = append(names, d.Name)
		}
		return names
	}
	dir := flagText(cmd, "repository")
	if dir == "" {
		return nil
	}
	r, err := openRepository(dir)
	if err != nil {
		return nil
	}
	names, _ := r.Databases()
	return names
}

// backupIDs are those of the database in the repository, the newest first.
func backupIDs(cmd *cobra.Command) []string {
	ids := []string{repo.Latest}
	dir, database := flagText(cmd, "repository"), flagText(cmd, "database")
	if dir == "" || database == "" {
		return ids
	}
	r, err := openRepository(dir)
	if err != nil {
		return ids
	}
	all, _ := r.List(database)
	for i := len(all) - 1; i >= 0; i-- {
		ids = append(ids, all[i].ID)
	}
	return ids
}
