package config

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestBandwidth(t *testing.T) {
	const rest = "repository: /backups\ndatabases: [{name: shop, path: /srv/s}]\n"
	tests := []struct {
		text string
		want Bandwidth
		say  string
	}{
		{"bandwidth: {limit: 200MB}", Bandwidth{Limit: 200e6, Pressure: DefaultPressure}, ""},
		{"bandwidth: {limit: 200MB, adaptive: true}", Bandwidth{Limit: 200e6, Adaptive: true, Floor: 20e6, Pressure: DefaultPressure}, ""},
		{"bandwidth: {limit: 200KB, adaptive: true}", Bandwidth{Limit: 200e3, Adaptive: true, Floor: leastRate, Pressure: DefaultPressure}, ""},
		{"bandwidth: {limit: 64KiB, adaptive: true, pressure: /sys/fs/cgroup/shop/io.pressure}", Bandwidth{Limit: leastRate, Adaptive: true, Floor: leastRate, Pressure: "/sys/fs/cgroup/shop/io.pressure"}, ""},
		{"bandwidth: {limit: 0}", Bandwidth{Pressure: DefaultPressure}, ""},
		{"bandwidth: {limit: -1}", Bandwidth{}, "bandwidth.limit: -1 is too little: at least 64KiB a second, or 0 for no limit"},
		{"bandwidth: {limit: 1KB}", Bandwidth{}, "bandwidth.limit: 1000 is too little: at least 64KiB a second, or 0 for no limit"},
		{"bandwidth: {adaptive: true}", Bandwidth{}, "bandwidth.adaptive: without a limit there is nothing to lower: set bandwidth.limit"},
		{"bandwidth: {limit: 1MiB, adaptive: true, floor: 2MiB}", Bandwidth{}, "bandwidth.floor: 2MiB is more than the limit, 1MiB"},
		{"bandwidth: {limit: 1MiB, adaptive: true, floor: 1KiB}", Bandwidth{}, "bandwidth.floor: 1KiB is too little: at least 64KiB a second"},
		{"bandwidth: {limit: 1MiB, adaptive: true, floor: 0}", Bandwidth{}, "bandwidth.floor: 0 is no floor: at least 64KiB a second"},
		{"bandwidth: {limit: 4MiB, floor: 1MiB}", Bandwidth{}, "bandwidth.floor: only an adaptive limit has one: set bandwidth.adaptive, or leave the key out"},
		{"bandwidth: {limit: 4MiB, pressure: io}", Bandwidth{}, `bandwidth.pressure: "io" is not an absolute path`},
	}
	for _, tt := range tests {
		_, file := write(t, tt.text+"\n"+rest)
		c, err := Load(file)
		if tt.say != "" {
			assert.ErrorContains(t, err, tt.say, tt.text)
			continue
		}
		require.NoError(t, err, tt.text)
		assert.Equal(t, tt.want, c.Bandwidth, tt.text)
	}
}

func TestLowest(t *testing.T) {
	tests := []struct {
		name              string
		bandwidth         Bandwidth
		copies, databases int
		own, want         Bytes
	}{
		{"no limit", Bandwidth{}, 4, 2, 0, 0},
		{"its own", Bandwidth{}, 4, 2, 7, 7},
		{"a share", Bandwidth{Limit: 100}, 4, 9, 0, 25},
		{"no more copies than databases", Bandwidth{Limit: 100}, 4, 2, 0, 50},
		{"a share of the floor", Bandwidth{Limit: 100, Adaptive: true, Floor: 40}, 4, 9, 0, 10},
		{"its own is less", Bandwidth{Limit: 100}, 4, 9, 7, 7},
		{"its own is more", Bandwidth{Limit: 100}, 4, 9, 70, 25},
	}
	for _, tt := range tests {
		c := &Config{Bandwidth: tt.bandwidth, Copies: tt.copies, Databases: make([]Database, tt.databases)}
		c.Databases[0].Copy.Bandwidth = tt.own
		assert.Equal(t, tt.want, c.Lowest(&c.Databases[0]), tt.name)
	}
}
