//go:build manual

package main

import (
	"fmt"
	"os"
	"strconv"
	"time"

	"canvasback/internal/release/manual"
	"canvasback/internal/version"
)

// main writes the man pages to the directory of the first argument, dated by the
// second, in seconds since 1970.
func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: worker DIR SECONDS")
		os.Exit(2)
	}
	seconds, err := strconv.ParseInt(os.Args[2], 10, 64)
	if err == nil {
		err = manual.Write(newCommand(nil), os.Args[1], version.String(), time.Unix(seconds, 0).UTC())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
