package server

import (
	"go.temporal.io/server/common/config"
	"go.temporal.io/server/common/dynamicconfig"
)

// PostgreSQL says where the two databases of a production server are. Their
// schema is set up before, by Temporal's own tool (temporal-sql-tool).
//
// The program that uses it imports the plugin itself, which this package does
// not link: go.temporal.io/server/common/persistence/sql/sqlplugin/postgresql.
type PostgreSQL struct {
	// Plugin is "postgres12" or "postgres12_pgx".
	Plugin         string
	Address        string // "127.0.0.1:5432"
	User, Password string
	// Main and Visibility are the names of the databases.
	Main, Visibility string
}

// The settings of docker-compose.yml and of the server's image.
const (
	postgresShards   = 4
	postgresMaxConns = 20
	visibilityRPS    = 100
)

// postgresStores keep the state in PostgreSQL with the settings that a
// production server starts from.
func postgresStores(o Options) (*stores, error) {
	return &stores{
		main: o.PostgreSQL.config(o.PostgreSQL.Main), visibility: o.PostgreSQL.config(o.PostgreSQL.Visibility),
		shards: postgresShards,
		dynamic: dynamicconfig.StaticClient{
			dynamicconfig.WorkflowPauseEnabled.Key(): true,
			// Lists of runs that clients may ask for in a second: ten, if nothing is said.
			dynamicconfig.FrontendMaxNamespaceVisibilityRPSPerInstance.Key(): visibilityRPS,
		},
	}, nil
}

func (p *PostgreSQL) config(database string) *config.SQL {
	return &config.SQL{
		PluginName: p.Plugin, ConnectProtocol: "tcp", ConnectAddr: p.Address, User: p.User, Password: p.Password,
		DatabaseName: database, MaxConns: postgresMaxConns, MaxIdleConns: postgresMaxConns,
	}
}
