package config

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// UnmarshalText parses "90s" or "1h30m".
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	if err != nil {
		return fmt.Errorf("%q is not a duration such as 90s or 1h30m", text)
	}
	*d = Duration(v)
	return nil
}

// UnmarshalYAML parses a scalar, reporting a fault with its line so that the
// decoder goes on to the next one.
func (d *Duration) UnmarshalYAML(node *yaml.Node) error { return unmarshalScalar(node, d) }

// String is the form that UnmarshalText reads.
func (d Duration) String() string { return time.Duration(d).String() }

// Set makes Duration a flag value.
func (d *Duration) Set(s string) error { return d.UnmarshalText([]byte(s)) }

// Type names the value in a flag's help.
func (d *Duration) Type() string { return "duration" }

// units of sizes; the decimal ones are powers of 1000, as in DuckDB.
var units = []struct {
	suffix string
	factor int64
}{
	{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40},
	{"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12},
	{"B", 1},
}

// UnmarshalText parses 4096, "64KB", "16MiB" or "1.5GB". A negative number
// parses; Validate refuses it where it makes no sense.
func (b *Bytes) UnmarshalText(text []byte) error {
	number, factor := strings.TrimSpace(string(text)), int64(1)
	for _, u := range units {
		if i := len(number) - len(u.suffix); i > 0 && strings.EqualFold(number[i:], u.suffix) {
			number, factor = strings.TrimSpace(number[:i]), u.factor
			break
		}
	}
	wrong := fmt.Errorf("%q is not a size such as 4096, 64KB or 16MiB", text)
	if whole, err := strconv.ParseInt(number, 10, 64); err == nil {
		if whole > math.MaxInt64/factor || whole < math.MinInt64/factor {
			return fmt.Errorf("%q is too large a size", text)
		}
		*b = Bytes(whole * factor)
		return nil
	}
	if strings.Trim(number, "+-.0123456789") != "" {
		return wrong
	}
	v, err := strconv.ParseFloat(number, 64)
	if err != nil {
		return wrong
	}
	if v *= float64(factor); math.Abs(v) >= math.MaxInt64 {
		return fmt.Errorf("%q is too large a size", text)
	}
	*b = Bytes(v)
	return nil
}

// UnmarshalYAML parses a scalar, reporting a fault with its line so that the
// decoder goes on to the next one.
func (b *Bytes) UnmarshalYAML(node *yaml.Node) error { return unmarshalScalar(node, b) }

// String is a form that UnmarshalText reads: the number of bytes in the
// largest binary unit that divides it.
func (b Bytes) String() string {
	for _, u := range []struct {
		suffix string
		factor Bytes
	}{{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}} {
		if b != 0 && b%u.factor == 0 {
			return strconv.FormatInt(int64(b/u.factor), 10) + u.suffix
		}
	}
	return strconv.FormatInt(int64(b), 10)
}

// Set makes Bytes a flag value.
func (b *Bytes) Set(s string) error { return b.UnmarshalText([]byte(s)) }

// Type names the value in a flag's help.
func (b *Bytes) Type() string { return "size" }

func unmarshalScalar(node *yaml.Node, into interface{ UnmarshalText([]byte) error }) error {
	if node.Kind == yaml.AliasNode {
		node = node.Alias
	}
	if node.Kind != yaml.ScalarNode {
		return &yaml.TypeError{Errors: []string{fmt.Sprintf("line %d: a single value is wanted here", node.Line)}}
	}
	if node.Tag == "!!null" {
		return nil
	}
	if err := into.UnmarshalText([]byte(node.Value)); err != nil {
		return &yaml.TypeError{Errors: []string{fmt.Sprintf("line %d: %v", node.Line, err)}}
	}
	return nil
}
