package cli

import (
	"path/filepath"

	"github.com/spf13/cobra"

	"canvasback/internal/codec"
	"canvasback/internal/failure"
	"canvasback/internal/repo"
	"canvasback/internal/vfs"
)

// stored names one backup in a repository, or all backups of a database.
type stored struct {
	repository, database, backup string
}

func (s *stored) repositoryFlag(cmd *cobra.Command) {
	cmd.Flags().StringVar(&s.repository, "repository", "", "`DIR` that holds the backups")
	must(cmd.MarkFlagRequired("repository"))
}

func (s *stored) databaseFlag(cmd *cobra.Command) {
	cmd.Flags().StringVar(&s.database, "database", "", "`NAME` of the database")
	must(cmd.MarkFlagRequired("database"))
}

func (s *stored) backupFlag(cmd *cobra.Command) {
	cmd.Flags().StringVar(&s.backup, "backup", repo.Latest, "`ID` of the backup; latest is the newest verified one")
}

// oneBackupFlag is backupFlag where a wrong guess would do harm.
func (s *stored) oneBackupFlag(cmd *cobra.Command) {
	cmd.Flags().StringVar(&s.backup, "backup", "", "`ID` of the backup, as 'starter list' shows it")
	must(cmd.MarkFlagRequired("backup"))
}

// open opens the repository and checks that it has the database, if one is
// named.
func (s *stored) open() (*repo.Repo, error) {
	if s.database != "" && !repo.ValidName(s.database) {
		return nil, usagef("--database %s: not the name of a database", s.database)
	}
	r, err := openRepository(s.repository)
	if err != nil || s.database == "" {
		return r, err
	}
	names, err := r.Databases()
	for _, name := range names {
		if name == s.database {
			return r, nil
		}
	}
	if err != nil {
		return nil, err
	}
	return nil, failure.Errorf(failure.UnknownDatabase, "the repository %s holds no backup of a database %q", s.repository, s.database)
}

func openRepository(dir string) (*repo.Repo, error) {
	if dir == "" {
		return nil, usagef("--repository is empty: name the directory of the backups")
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, failure.Errorf(failure.RepoMissing, "the repository %s: %w", dir, err)
	}
	return repo.Open(vfs.OS(), abs)
}

// must is for errors that only a mistake in this package can cause.
func must(err error) {
	if err != nil {
		panic(err)
	}
}

// keyFileFlag names the file with the key of an encrypted database: a key given
// as an argument would be seen by everyone on the machine.
func keyFileFlag(cmd *cobra.Command, file *string) {
	cmd.Flags().StringVar(file, "key-file", "", "`FILE` with the key of an encrypted database")
}

// codecFlag names the file with the keys of what Temporal keeps, for the same
// reason.
func codecFlag(cmd *cobra.Command, file *string) {
	cmd.Flags().StringVar(file, "codec-key-file", "", codec.Usage)
}
