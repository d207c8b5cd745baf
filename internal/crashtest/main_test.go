package crashtest

import (
	"flag"
	"os"
	"runtime/debug"
	"testing"

	"canvasback/internal/engine/enginetest"
)

var (
	kills    = flag.Int("kills", 24, "how many times the starter is killed")
	killSeed = flag.Uint64("kill-seed", 0, "seed of the moments of the kills; 0: a random one, which is printed")
)

// bin has the programs that the tests share.
var bin string

func TestMain(m *testing.M) {
	enginetest.RunIfChild()
	flag.Parse()
	debug.SetGCPercent(400) // the buffers of a read are large, and short-lived
	var err error
	if bin, err = os.MkdirTemp("", "crashtest"); err != nil {
		panic(err)
	}
	status := m.Run()
	if err := os.RemoveAll(bin); err != nil {
		panic(err)
	}
	os.Exit(status)
}
