// Command duckdb11 holds a DuckDB file open with DuckDB 1.1.3 and writes to it.
package main

import (
	"canvasback/internal/livetest/owners/writer"

	_ "github.com/marcboeker/go-duckdb"
)

func main() { writer.Exit() }
