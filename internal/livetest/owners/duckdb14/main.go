// Command duckdb14 holds a DuckDB file open with DuckDB 1.4.1 and writes to it.
package main

import (
	"canvasback/internal/livetest/owners/writer"

	_ "github.com/marcboeker/go-duckdb/v2"
)

func main() { writer.Exit() }
