// Package servertest starts Temporal servers for tests as the environment says.
package servertest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"canvasback/internal/tlstest"
	"canvasback/standalone/server"
	"canvasback/standalone/server/pgtest"
)

// Variant is what Temporal is like in all tests of a package, as the environment
// says: CANVASBACK_E2E_STORE=postgres keeps its state in PostgreSQL instead of
// SQLite, CANVASBACK_E2E_TLS=mtls has its frontend speak TLS and ask for client
// certificates. Workers and starters learn of the latter as those of a user do,
// from Temporal's own variables.
type Variant struct {
	postgres *pgtest.Cluster // nil: SQLite
	tls      *server.TLS     // nil: none
}

// New reads the environment, and sets Temporal's own variables, for this process
// and those that it starts. Certificates are made in dir.
func New(ctx context.Context, dir string) (*Variant, error) {
	v := &Variant{}
	switch store := os.Getenv("CANVASBACK_E2E_STORE"); store {
	case "", "sqlite":
	case "postgres":
		var err error
		if v.postgres, err = pgtest.Start(ctx); err != nil {
			return v, err
		}
	default:
		return v, fmt.Errorf("CANVASBACK_E2E_STORE=%s: sqlite or postgres", store)
	}
	switch mode := os.Getenv("CANVASBACK_E2E_TLS"); mode {
	case "", "off":
	case "mtls":
		return v, v.certify(dir)
	default:
		return v, fmt.Errorf("CANVASBACK_E2E_TLS=%s: off or mtls", mode)
	}
	return v, nil
}

// certify makes the certificates of all servers and of all clients.
func (v *Variant) certify(dir string) error {
	authority, err := tlstest.NewAuthority(dir, "authority")
	if err != nil {
		return err
	}
	frontend, err := authority.Sign(tlstest.Leaf{Name: "frontend", Hosts: []string{"127.0.0.1"}})
	if err != nil {
		return err
	}
	client, err := authority.Sign(tlstest.Leaf{Name: "client"})
	if err != nil {
		return err
	}
	v.tls = &server.TLS{CertFile: frontend.CertFile, KeyFile: frontend.KeyFile, ClientCAFile: authority.File}
	for name, value := range map[string]string{
		"TEMPORAL_TLS_CLIENT_CERT_PATH": client.CertFile, "TEMPORAL_TLS_CLIENT_KEY_PATH": client.KeyFile, "TEMPORAL_TLS_SERVER_CA_CERT_PATH": authority.File,
	} {
		if err := os.Setenv(name, value); err != nil {
			return err
		}
	}
	return nil
}

// TLS tells whether the frontend speaks TLS.
func (v *Variant) TLS() bool { return v.tls != nil }

// Close ends what New has started. Servers are stopped before.
func (v *Variant) Close() error {
	if v.postgres == nil {
		return nil
	}
	return v.postgres.Stop()
}

// Options adds what the variant says to those of a server. A server that is
// started again is started with what this returned, and has its state.
func (v *Variant) Options(ctx context.Context, o server.Options) (server.Options, error) {
	o.NoUI = true
	if o.TLS == nil {
		o.TLS = v.tls
	}
	var err error
	if v.postgres != nil && o.PostgreSQL == nil {
		o.PostgreSQL, err = v.postgres.Databases(ctx)
	}
	return o, err
}

// Isolate keeps a profile and the TEMPORAL variables of the person who runs the
// tests from reaching them. The empty profile is made in dir.
func Isolate(dir string) error {
	empty := filepath.Join(dir, "temporal.toml")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		return err
	}
	for _, variable := range os.Environ() {
		if name, _, _ := strings.Cut(variable, "="); strings.HasPrefix(name, "TEMPORAL_") {
			if err := os.Unsetenv(name); err != nil {
				return err
			}
		}
	}
	return os.Setenv("TEMPORAL_CONFIG_FILE", empty)
}
