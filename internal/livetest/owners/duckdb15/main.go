// Command duckdb15 holds a DuckDB file open with DuckDB 1.5.6 and writes to it.
package main

import (
	"canvasback/internal/livetest/owners/writer"

	_ "github.com/duckdb/duckdb-go/v2"
)

func main() { writer.Exit() }
