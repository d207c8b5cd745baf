package manual

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func tree() *cobra.Command {
	run := func(*cobra.Command, []string) error { return nil }
	root := &cobra.Command{Use: "tool", Short: "Do things"}
	sub := &cobra.Command{Use: "sub --name NAME", Short: "Do one", Long: "Do one of a_b_c, at '0 3 * * *'.", Example: "  tool sub --name '*'", RunE: run}
	sub.Flags().String("name", "", "`NAME` of it")
	root.AddCommand(sub, &cobra.Command{Use: "secret", Hidden: true, RunE: run})
	return root
}

func TestWrite(t *testing.T) {
	dir := t.TempDir()
	date := time.Date(2026, 11, 26, 1, 2, 3, 0, time.UTC)
	require.NoError(t, Write(tree(), dir, "1.2.3", date))
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 2, "a hidden command has no page")
	page, err := os.ReadFile(dir + "/tool-sub.1")
	require.NoError(t, err)
	text := string(page)
	assert.Contains(t, text, `.TH "TOOL-SUB" "1" "2026-11-26" "Canvasback 1.2.3" "Canvasback"`)
	assert.Contains(t, text, "a_b_c, at '0 3 * * *", "no mark is taken for one")
	assert.Contains(t, text, ".SH OPTIONS\n.TP\n\\fB-h\\fP")
	assert.Contains(t, text, ".SH EXIT STATUS\n")
	assert.NotContains(t, text, "\t")

	again := t.TempDir()
	require.NoError(t, Write(tree(), again, "1.2.3", date))
	same, err := os.ReadFile(again + "/tool-sub.1")
	require.NoError(t, err)
	assert.Equal(t, text, string(same))
	assert.False(t, strings.Contains(text, again))
}
