package human

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestBytes(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0 B", 1023: "1023 B", 1024: "1.0 KiB", 1 << 20: "1.0 MiB", 1610612736: "1.5 GiB", math.MaxInt64: "8.0 EiB", -5: "-5 B",
	} {
		assert.Equal(t, want, Bytes(n))
	}
}

func TestAge(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second: "in the future", 0: "0s", 59 * time.Second: "59s", time.Minute: "1m", 47 * time.Hour: "47h", 49 * time.Hour: "2d",
	} {
		assert.Equal(t, want, Age(d))
	}
}

func TestSeconds(t *testing.T) {
	for s, want := range map[float64]string{0: "0s", 0.0123: "12ms", 1.26: "1.3s", 75.4: "1m15s"} {
		assert.Equal(t, want, Seconds(s))
	}
}

func TestCount(t *testing.T) {
	assert.Equal(t, "1 row", Count(1, "row"))
	assert.Equal(t, "0 rows", Count(0, "row"))
}
