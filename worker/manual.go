//go:build manual

package main

import "canvasback/internal/release/manual"

// main writes the man pages in place of being the program.
func main() { manual.Main(newCommand(nil)) }
