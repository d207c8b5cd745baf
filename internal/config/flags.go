package config

import (
	"fmt"
	"path/filepath"
	"strings"

	"canvasback/internal/failure"
)

// FromFlags makes the configuration of the simple case: databases are
// "NAME=PATH", everything else has its default. An empty host is the machine's
// own name. Relative paths start at the working directory. All faults come
// back in one failure.Usage, a line each.
func FromFlags(databases []string, repository, host string) (*Config, error) {
	c := &Config{Host: host, Repository: repository}
	var faults []fault
	for _, arg := range databases {
		name, path, ok := strings.Cut(arg, "=")
		if !ok || name == "" || path == "" {
			faults = append(faults, fault{text: fmt.Sprintf("--database %s: NAME=PATH is wanted, such as shop=/var/lib/shop/shop.duckdb", arg)})
			continue
		}
		c.Databases = append(c.Databases, Database{Name: name, Path: path})
	}
	dir, err := filepath.Abs(".")
	if err != nil {
		return nil, failure.Errorf(failure.Usage, "the working directory: %w", err)
	}
	c.absolute(dir)
	c.fillIn()
	for _, f := range c.check() {
		if f.at == "databases" && len(databases) > 0 {
			continue // there were some, and what is wrong with them is said
		}
		faults = append(faults, asFlag(c, f))
	}
	if err := join(failure.Usage, faults, func(fault) string { return "" }); err != nil {
		return nil, err
	}
	return c, nil
}

// asFlag names the flag that a fault came from instead of the key.
func asFlag(c *Config, f fault) fault {
	var i int
	switch n, _ := fmt.Sscanf(f.at, "databases[%d]", &i); {
	case n == 1 && i < len(c.Databases):
		f.at = fmt.Sprintf("--database %s=%s", c.Databases[i].Name, c.Databases[i].Path)
	case f.at == "databases":
		f.at = "--database"
	case f.at == "repository":
		f.at = "--repository"
	case f.at == "host":
		f.at = "--host"
	}
	return f
}
