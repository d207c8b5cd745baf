package config

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"canvasback/internal/failure"
)

func TestSettleMetrics(t *testing.T) {
	for _, tt := range []struct{ name, file, flag, variable, want, fault string }{
		{"nothing says one", "", "", "", "", ""},
		{"the file's", "127.0.0.1:1", "", "", "127.0.0.1:1", ""},
		{"the variable's where the file is silent", "", "", "127.0.0.1:3", "127.0.0.1:3", ""},
		{"the file's before the variable's", "127.0.0.1:1", "", "127.0.0.1:3", "127.0.0.1:1", ""},
		{"the flag's before all", "127.0.0.1:1", ":2", "127.0.0.1:3", ":2", ""},
		{"a flag that is none", "127.0.0.1:1", "9464", "", "", `--metrics-address: "9464" is not of the form HOST:PORT, such as 127.0.0.1:9464`},
		{"a variable that is none", "", "", "localhost:x", "", `CANVASBACK_METRICS_ADDRESS: "localhost:x" is not of the form HOST:PORT, such as 127.0.0.1:9464`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := Metrics{Address: tt.file}
			err := m.Settle(tt.flag, tt.variable)
			if tt.fault != "" {
				assert.EqualError(t, err, tt.fault)
				assert.Same(t, failure.Usage, failure.Of(err))
				return
			}
			assert.NoError(t, err)
			assert.Equal(t, tt.want, m.Address)
		})
	}
}
