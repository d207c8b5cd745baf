package app

import (
	"crypto/tls"
	"fmt"
	"net"
	"strings"
	"sync"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/contrib/envconfig"

	"canvasback/internal/failure"
)

// defaultPort is Temporal's, for an address without one.
const defaultPort = "7233"

// settings are what Connect goes by: what o says, then Temporal's environment
// variables, then its profile file.
func (o ConnectOptions) settings() (client.Options, error) {
	profile, err := envconfig.LoadClientConfigProfile(envconfig.LoadClientConfigProfileOptions{})
	if err != nil {
		return client.Options{}, failure.Errorf(failure.InvalidConfig, "Temporal's connection settings: %w", err)
	}
	opts, err := profile.ToClientOptions(envconfig.ToClientOptionsRequest{})
	if err != nil {
		return opts, failure.Errorf(failure.InvalidConfig, "Temporal's connection settings (TEMPORAL_TLS_... and the profile file): %w", err)
	}
	if conf := opts.ConnectionOptions.TLS; conf != nil && profile.TLS != nil && profile.TLS.ClientCertPath != "" {
		renew(conf, profile.TLS.ClientCertPath, profile.TLS.ClientKeyPath)
	}
	if o.Address != "" {
		opts.HostPort = o.Address
	}
	if opts.HostPort, err = address(opts.HostPort); err != nil {
		return opts, err
	}
	if o.Namespace != "" {
		opts.Namespace = o.Namespace
	}
	if opts.Namespace == "" {
		opts.Namespace = client.DefaultNamespace
	}
	// The SDK speaks TLS to whom it gives an API key.
	if opts.Credentials != nil && opts.ConnectionOptions.TLS == nil && !opts.ConnectionOptions.TLSDisabled {
		opts.ConnectionOptions.TLS = &tls.Config{}
	}
	return opts, nil
}

// address completes what a person writes. gRPC would take port 443 where there
// is none. What gRPC calls a target, such as dns:///temporal:7233, stays.
func address(s string) (string, error) {
	if s == "" {
		return client.DefaultHostPort, nil
	}
	if scheme, _, ok := strings.Cut(s, "://"); ok {
		if scheme == "http" || scheme == "https" {
			return s, failure.Errorf(failure.Usage, "Temporal's address %s: it is HOST:PORT, such as temporal.example.com:7233, not a URL", s)
		}
		return s, nil
	}
	if net.ParseIP(s) != nil || !strings.Contains(s, ":") {
		return net.JoinHostPort(s, defaultPort), nil
	}
	return s, nil
}

// Plain says what is amiss where the settings have a server on another machine
// spoken to without TLS: everybody on the way reads and changes what is said,
// a backup's start included. Empty: nothing is, or TEMPORAL_TLS=false says that
// it is meant.
func (o ConnectOptions) Plain() string {
	opts, err := o.settings()
	if err != nil || opts.ConnectionOptions.TLS != nil || local(opts.HostPort) {
		return ""
	}
	if opts.Credentials != nil {
		return fmt.Sprintf("the API key goes to Temporal at %s without TLS, for everybody on the way to read: unset TEMPORAL_TLS=false", opts.HostPort)
	}
	if opts.ConnectionOptions.TLSDisabled {
		return ""
	}
	return fmt.Sprintf("Temporal at %s is on another machine and spoken to without TLS: set TEMPORAL_TLS=true, or false if the network is trusted", opts.HostPort)
}

// local tells an address of this machine.
func local(hostPort string) bool {
	host, _, err := net.SplitHostPort(hostPort)
	if err != nil {
		return strings.HasPrefix(hostPort, "unix:")
	}
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || net.ParseIP(host).IsLoopback()
}

// renew has the certificate read from its files for each new connection, so
// that one that was renewed on disk is used without a restart. Where they cannot
// be read, as between the renewal of the one and of the other, the last pair is.
func renew(conf *tls.Config, cert, key string) {
	var mu sync.Mutex
	last := conf.Certificates[0]
	conf.Certificates = nil
	conf.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		mu.Lock()
		defer mu.Unlock()
		if pair, err := tls.LoadX509KeyPair(cert, key); err == nil {
			last = pair
		}
		pair := last
		return &pair, nil
	}
}
