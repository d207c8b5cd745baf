package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"canvasback/internal/hotcopy"
	"canvasback/internal/vfs"
)

func newInspectCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "inspect FILE",
		Short: "Describe a DuckDB file, live or not",
		Long: `Describe any DuckDB file: its headers, iteration and storage version, used and
free blocks, the state of its WAL, and who holds its lock. The file is only
read, and no lock is taken; of a live one, it is what was true at one moment.`,
		Example: `  starter inspect /var/lib/shop/shop.duckdb
  starter inspect /var/lib/shop/shop.duckdb --json`,
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			seen, err := hotcopy.Inspect(vfs.OS(), args[0])
			if err != nil {
				return err
			}
			return a.result(seen, func(w io.Writer) error { return writeFlat(w, seen) })
		},
	}
}

// writeFlat writes v's JSON form as aligned lines, one for each value, in the
// order of the fields.
func writeFlat(w io.Writer, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	var fields []field
	if err := flatten(dec, "", &fields); err != nil {
		return err
	}
	return writeFields(w, fields)
}

// flatten reads one JSON value.
func flatten(dec *json.Decoder, name string, fields *[]field) error {
	token, err := dec.Token()
	if err != nil {
		return err
	}
	delim, nested := token.(json.Delim)
	if !nested {
		if token != nil {
			*fields = append(*fields, field{name, fmt.Sprint(token)})
		}
		return nil
	}
	for i := 0; dec.More(); i++ {
		key := fmt.Sprintf("%s[%d]", name, i)
		if delim == '{' {
			token, err := dec.Token()
			if err != nil {
				return err
			}
			key = fmt.Sprint(token)
			if name != "" {
				key = name + "." + key
			}
		}
		if err := flatten(dec, key, fields); err != nil {
			return err
		}
	}
	_, err = dec.Token() // the closing one
	return err
}
