package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"canvasback/internal/config"
	"canvasback/internal/duckfile"
	"canvasback/internal/hotcopy"
	"canvasback/internal/vfs"
)

func newInspectCommand(a *app) *cobra.Command {
	var keyFile string
	cmd := &cobra.Command{
		Use:   "inspect FILE",
		Short: "Describe a DuckDB file, live or not",
		Long: `Describe any DuckDB file: its three headers, used, free, shared and metadata
blocks, the commits, frames and checkpoint markers of its WALs, what state these
are in together, and who holds its lock. The file is only read, and no lock is
taken; of a live one, it is what was true at one moment. Of an encrypted file
without its key, only the main header and the lengths of the WAL can be seen.`,
		Example: `  starter inspect /var/lib/shop/shop.duckdb
  starter inspect /var/lib/shop/shop.duckdb --key-file /etc/shop.key
  starter inspect /var/lib/shop/shop.duckdb --json`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usagef("%d files named: inspect takes one", len(args))
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error {
			secret, err := config.ReadKeyFile(keyFile)
			if err != nil {
				return err
			}
			var key *duckfile.Key
			if secret != "" {
				key = duckfile.NewKey(secret)
			}
			seen, err := hotcopy.Inspect(vfs.OS(), args[0], key)
			if err != nil {
				return err
			}
			return a.result(seen, func(w io.Writer) error { return writeFlat(w, seen) })
		},
	}
	keyFileFlag(cmd, &keyFile)
	return cmd
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

// flatten reads one JSON value. A list of plain values is one field.
func flatten(dec *json.Decoder, name string, fields *[]field) error {
	token, err := dec.Token()
	if err != nil {
		return err
	}
	return flattenFrom(dec, token, name, fields)
}

// flattenFrom is flatten of the value that begins with token.
func flattenFrom(dec *json.Decoder, token json.Token, name string, fields *[]field) error {
	switch token {
	case nil:
		return nil
	case json.Delim('{'):
		return flattenObject(dec, name, fields)
	case json.Delim('['):
		return flattenList(dec, name, fields)
	}
	*fields = append(*fields, field{name, fmt.Sprint(token)})
	return nil
}

func flattenObject(dec *json.Decoder, name string, fields *[]field) error {
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return err
		}
		path := fmt.Sprint(key)
		if name != "" {
			path = name + "." + path
		}
		if err := flatten(dec, path, fields); err != nil {
			return err
		}
	}
	_, err := dec.Token() // the closing one
	return err
}

func flattenList(dec *json.Decoder, name string, fields *[]field) error {
	var plain []string
	for i := 0; dec.More(); i++ {
		token, err := dec.Token()
		if err != nil {
			return err
		}
		if _, nested := token.(json.Delim); !nested {
			plain = append(plain, fmt.Sprint(token))
			continue
		}
		if err := flattenFrom(dec, token, fmt.Sprintf("%s[%d]", name, i), fields); err != nil {
			return err
		}
	}
	*fields = append(*fields, field{name, strings.Join(plain, " ")})
	_, err := dec.Token() // the closing one
	return err
}
