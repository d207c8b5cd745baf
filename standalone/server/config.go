package server

import (
	"cmp"
	"fmt"
	"net"
	"strconv"
	"time"

	"go.temporal.io/server/common/authorization"
	"go.temporal.io/server/common/cluster"
	"go.temporal.io/server/common/config"
	"go.temporal.io/server/common/dynamicconfig"
	"go.temporal.io/server/common/membership/static"
	"go.temporal.io/server/common/primitives"
	"go.temporal.io/server/temporal"
)

// Names of the data stores in the server's configuration.
const (
	mainStore       = "main"
	visibilityStore = "visibility"
)

// stores are where the server keeps its state.
type stores struct {
	main, visibility *config.SQL
	// shards of the histories. It is written into the database when that is new,
	// and cannot be changed later.
	shards  int32
	dynamic dynamicconfig.StaticClient
}

// serverOptions puts a server together that consists of one instance of each
// service, finds them without gossip and replicates to nowhere.
func serverOptions(o Options, db *stores, p *ports) ([]temporal.ServerOption, error) {
	conf := serverConfig(db, p)
	secure(conf, o)
	listenWhere(conf, o, p)
	log := &serverLog{log: o.Logger}
	authorizer, err := authorization.GetAuthorizerFromConfig(&conf.Global.Authorization)
	if err != nil {
		return nil, fmt.Errorf("server: %w", err)
	}
	claims, err := authorization.GetClaimMapperFromConfig(&conf.Global.Authorization, log)
	if err != nil {
		return nil, fmt.Errorf("server: %w", err)
	}
	hosts := map[primitives.ServiceName]static.Hosts{}
	var services []string
	for name, service := range conf.Services {
		hosts[primitives.ServiceName(name)] = static.SingleLocalHost(net.JoinHostPort(reach(service.RPC.BindOnIP), strconv.Itoa(service.RPC.GRPCPort)))
		services = append(services, name)
	}
	return []temporal.ServerOption{
		temporal.WithConfig(conf),
		temporal.ForServices(services),
		temporal.WithStaticHosts(hosts),
		temporal.WithLogger(log),
		temporal.WithAuthorizer(authorizer),
		temporal.WithClaimMapper(func(*config.Config) authorization.ClaimMapper { return claims }),
		temporal.WithDynamicConfigClient(db.dynamic),
	}, nil
}

func serverConfig(db *stores, p *ports) *config.Config {
	conf := &config.Config{
		Persistence: config.Persistence{
			DefaultStore:     mainStore,
			VisibilityStore:  visibilityStore,
			NumHistoryShards: db.shards,
			DataStores:       map[string]config.DataStore{mainStore: {SQL: db.main}, visibilityStore: {SQL: db.visibility}},
		},
		ClusterMetadata: &cluster.Config{
			FailoverVersionIncrement: 10,
			MasterClusterName:        clusterName,
			CurrentClusterName:       clusterName,
			ClusterInformation: map[string]cluster.ClusterInformation{
				clusterName: {Enabled: true, InitialFailoverVersion: 1, RPCAddress: hostPort(p.frontend)},
			},
		},
		DCRedirectionPolicy: config.DCRedirectionPolicy{Policy: "noop"},
		Services: map[string]config.Service{
			string(primitives.FrontendService): service(p.frontend),
			string(primitives.HistoryService):  service(p.history),
			string(primitives.MatchingService): service(p.matching),
			string(primitives.WorkerService):   service(p.worker),
		},
		PublicClient: config.PublicClient{HostPort: hostPort(p.frontend)},
	}
	if p.internal != 0 {
		conf.Services[string(primitives.InternalFrontendService)] = service(p.internal)
		conf.PublicClient = config.PublicClient{}
	}
	conf.Global.Membership.MaxJoinDuration = 30 * time.Second
	conf.Global.Membership.BroadcastAddress = loopback
	conf.Archival.History.State = config.ArchivalDisabled
	conf.Archival.Visibility.State = config.ArchivalDisabled
	conf.NamespaceDefaults.Archival.History.State = config.ArchivalDisabled
	conf.NamespaceDefaults.Archival.Visibility.State = config.ArchivalDisabled
	return conf
}

func service(port int) config.Service {
	return config.Service{RPC: config.RPC{GRPCPort: port, BindOnIP: loopback}}
}

func hostPort(port int) string { return net.JoinHostPort(loopback, strconv.Itoa(port)) }

// listenOn is the address of the frontend and the UI.
func (o Options) listenOn() string { return cmp.Or(o.Listen, loopback) }

// reach is how this machine reaches what listens on the address.
func reach(address string) string {
	if net.ParseIP(address).IsUnspecified() {
		return loopback
	}
	return address
}

// listenWhere has the frontend listen where o says, and be found there. The other
// services stay on loopback.
func listenWhere(conf *config.Config, o Options, p *ports) {
	name := string(primitives.FrontendService)
	frontend := conf.Services[name]
	frontend.RPC.BindOnIP = o.listenOn()
	conf.Services[name] = frontend
	address := net.JoinHostPort(reach(o.listenOn()), strconv.Itoa(p.frontend))
	cluster := conf.ClusterMetadata.ClusterInformation[clusterName]
	cluster.RPCAddress = address
	conf.ClusterMetadata.ClusterInformation[clusterName] = cluster
	if p.internal == 0 {
		conf.PublicClient.HostPort = address
	}
}
