package main

import (
	"context"
	"os"
	"time"

	"github.com/spf13/cobra"

	"canvasback/internal/config"
	"canvasback/internal/failure"
	"canvasback/internal/telemetry"
)

// healthcheckTimeout is longer than a worker takes to find out that its
// repository does not answer.
const healthcheckTimeout = 8 * time.Second

// newHealthcheckCommand is the probe of where there is no other HTTP client, as
// in the image.
func newHealthcheckCommand() *cobra.Command {
	var configFile, address string
	ready := false
	cmd := &cobra.Command{
		Use:   "healthcheck",
		Short: "Ask the worker that runs here whether it is well",
		Long: `Ask the worker that runs on this machine, or in this container, for /healthz.
Nothing is printed if it is well. If it is not, or there is none, the exit status
is 1 and standard error says why.

Its address is that of --metrics-address, of the configuration, or of
` + config.MetricsVariable + `.`,
		Example: `  worker healthcheck --metrics-address 127.0.0.1:9464
  worker healthcheck --config /etc/canvasback.yaml --ready`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return healthcheck(cmd.Context(), configFile, address, ready)
		},
	}
	f := cmd.Flags()
	f.StringVar(&configFile, "config", "", "configuration file of the worker, for the address")
	f.StringVar(&address, "metrics-address", "", "address of the worker's /healthz and /readyz, HOST:PORT")
	f.BoolVar(&ready, "ready", false, "ask for /readyz: whether a backup would be taken now")
	return cmd
}

func healthcheck(ctx context.Context, configFile, address string, ready bool) error {
	metrics := config.Metrics{}
	if configFile != "" {
		cfg, err := config.Load(configFile)
		if err != nil {
			return err
		}
		metrics = cfg.Metrics
	}
	if err := metrics.Settle(address, os.Getenv(config.MetricsVariable)); err != nil {
		return err
	}
	if metrics.Address == "" {
		return failure.Errorf(failure.Usage, "where the worker answers is not known: name its --metrics-address, or the --config that has it")
	}
	path := "/healthz"
	if ready {
		path = "/readyz"
	}
	ctx, cancel := context.WithTimeout(ctx, healthcheckTimeout)
	defer cancel()
	return telemetry.Ask(ctx, metrics.Address, path)
}
