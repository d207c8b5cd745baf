package server

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"syscall"

	"go.temporal.io/server/common/config"
	"go.temporal.io/server/common/dynamicconfig"
	"go.temporal.io/server/common/persistence/sql/sqlplugin/sqlite"
	schema "go.temporal.io/server/schema/sqlite"
	"google.golang.org/protobuf/types/known/durationpb"
)

const clusterName = "active"

// LockedError says that another process runs a server on the file.
type LockedError struct{ File string }

func (e *LockedError) Error() string {
	return fmt.Sprintf("another process runs a Temporal server on %s", e.File)
}

// lockFile takes the lock that keeps a second process off the database. It is
// on a file of its own: SQLite has locks on the database itself.
func lockFile(db string) (*os.File, error) {
	f, err := os.OpenFile(db+".lock", os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("server: open the lock: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, &LockedError{File: db}
		}
		return nil, fmt.Errorf("server: lock %s.lock: %w", db, err)
	}
	return f, nil
}

// sqliteStores keep all in one file.
func sqliteStores(o Options) (*stores, error) {
	db, err := openSQLite(o)
	if err != nil {
		return nil, err
	}
	return &stores{main: db, visibility: db, shards: 1, dynamic: dynamicconfig.StaticClient{
		dynamicconfig.WorkflowPauseEnabled.Key(): true,
		// A task that waits in one of several partitions is found by a worker that
		// comes back only when one of its polls, of a minute each, goes there. All
		// are still read: a state of before may have tasks in them.
		dynamicconfig.MatchingNumTaskqueueWritePartitions.Key(): 1,
		// The UI asks for several lists a page; the default is for a shared cluster.
		dynamicconfig.FrontendMaxNamespaceVisibilityRPSPerInstance.Key(): 100,
		dynamicconfig.HistoryCacheHostLevelMaxSize.Key():                 4096,
	}}, nil
}

// openSQLite makes the schema and the namespace where they are missing.
func openSQLite(o Options) (*config.SQL, error) {
	if o.DBFile == "" {
		conf := sqlConfig("canvasback"+strconv.FormatUint(rand.Uint64(), 36), map[string]string{"mode": "memory", "cache": "shared"})
		return conf, createNamespace(conf, o)
	}
	if err := createFile(o); err != nil {
		return nil, err
	}
	conf := sqlConfig(escape(o.DBFile), map[string]string{
		"mode":         "rwc",
		"journal_mode": "wal",
		"synchronous":  "full",
		"busy_timeout": "10000",
	})
	return conf, createNamespace(conf, o)
}

// createFile makes the schema in a file of another name and renames it: a
// process that dies half-way leaves no database with half of the tables.
// The file is not in WAL mode yet, so all of it is under that one name.
func createFile(o Options) error {
	if _, err := os.Stat(o.DBFile); err == nil || !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	dir, err := os.MkdirTemp(filepath.Dir(o.DBFile), ".schema-")
	if err != nil {
		return fmt.Errorf("server: make the database: %w", err)
	}
	defer os.RemoveAll(dir)
	fresh := filepath.Join(dir, "new.db")
	if err := schema.SetupSchema(sqlConfig(escape(fresh), map[string]string{"mode": "rwc", "synchronous": "full"})); err != nil {
		return fmt.Errorf("server: make the schema of %s: %w", o.DBFile, err)
	}
	if err := os.Chmod(fresh, 0o600); err != nil {
		return fmt.Errorf("server: make the database: %w", err)
	}
	if err := os.Rename(fresh, o.DBFile); err != nil {
		return fmt.Errorf("server: make the database: %w", err)
	}
	return nil
}

func createNamespace(conf *config.SQL, o Options) error {
	ns, err := schema.NewNamespaceConfig(clusterName, Namespace, false, o.Attributes)
	if err != nil {
		return fmt.Errorf("server: %w", err)
	}
	ns.Detail.Config.Retention = durationpb.New(o.Retention)
	if err := schema.CreateNamespaces(conf, ns); err != nil {
		return fmt.Errorf("server: make the namespace in %s: %w", o.DBFile, err)
	}
	return nil
}

func sqlConfig(name string, attributes map[string]string) *config.SQL {
	return &config.SQL{PluginName: sqlite.PluginName, DatabaseName: name, ConnectAttributes: attributes}
}

// escape makes a path safe inside the file: URI that the plugin builds.
func escape(path string) string { return (&url.URL{Path: path}).EscapedPath() }
