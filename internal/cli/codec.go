package cli

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"canvasback/internal/codec"
	"canvasback/internal/config"
	"canvasback/internal/failure"
	"canvasback/internal/telemetry"
)

func newCodecCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "codec",
		Short: "Keys that encrypt what Temporal keeps, and the codec server of its UI",
		Long: `Make and order the keys that encrypt what a Temporal server keeps of the backups,
and decrypt it for the Temporal UI.

The worker and the starter encrypt with the first key of the file that
--codec-key-file or CANVASBACK_CODEC_KEY_FILE names, and decrypt with any of it.`,
	}
	cmd.AddCommand(newCodecKeyCommand(a), newCodecUseCommand(a), newCodecServeCommand(a))
	return cmd
}

// keysDoc is what is in a key file, but for the keys.
type keysDoc struct {
	File string   `json:"file"`
	Made string   `json:"made,omitempty"` // the name of the new key
	Keys []string `json:"keys"`           // names, the one that encrypts first
}

func (a *app) keysResult(file, made string) error {
	keys, err := codec.Load(file, func(string) string { return "" })
	if err != nil {
		return err
	}
	doc := keysDoc{File: file, Made: made, Keys: keys.IDs()}
	return a.result(doc, func(w io.Writer) error {
		fields := []field{{"file", doc.File}, {"encrypts", doc.Keys[0]}}
		if len(doc.Keys) > 1 {
			fields = append(fields, field{"decrypts only", strings.Join(doc.Keys[1:], ", ")})
		}
		return writeFields(w, fields)
	})
}

func newCodecKeyCommand(a *app) *cobra.Command {
	var add bool
	cmd := &cobra.Command{
		Use:   "key FILE",
		Short: "Make a key file, or put another key into one",
		Long: `Make a key file with one random key of 256 bits, which only its owner may read; or,
with --add, put another key behind those that are in it. Names are printed, keys
never are. A file that is there is not written over.

Keep a copy of the file where the hosts are not: without it nobody can read what
Temporal keeps. The backups do not depend on it.`,
		Example: `  starter codec key /etc/canvasback/codec.keys
  starter codec key /etc/canvasback/codec.keys --add`,
		Args: exactly(1, "key takes the name of a file"),
		RunE: func(_ *cobra.Command, args []string) error {
			id, err := "", error(nil)
			if add {
				id, err = codec.Add(args[0], a.now())
			} else {
				id, err = codec.Create(args[0], a.now())
			}
			if err != nil {
				return err
			}
			return a.keysResult(args[0], id)
		},
	}
	cmd.Flags().BoolVar(&add, "add", false, "put another key into the file, which decrypts only until 'starter codec use' names it")
	return cmd
}

func newCodecUseCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "use FILE KEY",
		Short: "Encrypt with another key of a key file from now on",
		Long: `Move the key of that name to the front of the file, so that it is the one that
encrypts. Every worker and starter must have it by then, or it cannot read what
the others write. Workers read the file when they start.`,
		Example: `  starter codec use /etc/canvasback/codec.keys 20260105-0c5e7f21`,
		Args:    exactly(2, "use takes the name of a file and that of a key"),
		RunE: func(_ *cobra.Command, args []string) error {
			if err := codec.Use(args[0], args[1]); err != nil {
				return err
			}
			return a.keysResult(args[0], "")
		},
	}
}

// exactly is for the commands that take so many arguments.
func exactly(n int, text string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) != n {
			return usagef("%d arguments: %s", len(args), text)
		}
		return nil
	}
}

// serveFlags are the flags of codec serve.
type serveFlags struct {
	keys, listen, token string
	origins             []string
}

func newCodecServeCommand(a *app) *cobra.Command {
	f := &serveFlags{}
	cmd := &cobra.Command{
		Use:   "serve --ui-origin URL",
		Short: "Decrypt for the Temporal UI in a browser",
		Long: `Serve Temporal's codec server protocol, POST /decode, so that a browser that shows
the Temporal UI can show what is encrypted. In the UI, name this server's address
under "Data Encoder". What it decrypts goes to the browser and nowhere else; what
is asked and answered is not logged.

It listens on this machine's loopback and answers pages of the given origins only.
Whoever reaches it can have payloads decrypted: for another address, put a proxy
with TLS before it, and ask for a token.`,
		Example: `  starter codec serve --codec-key-file codec.keys --ui-origin http://127.0.0.1:8233
  starter codec serve --codec-key-file codec.keys --ui-origin https://temporal.example.com --token-file /etc/canvasback/token`,
		RunE: func(*cobra.Command, []string) error { return a.serveCodec(f) },
	}
	codecFlag(cmd, &f.keys)
	fl := cmd.Flags()
	fl.StringVar(&f.listen, "listen", "127.0.0.1:8081", "`HOST:PORT` to listen on")
	fl.StringArrayVar(&f.origins, "ui-origin", nil, "`URL` of the Temporal UI as the browser has it, scheme, host and port; repeatable")
	fl.StringVar(&f.token, "token-file", "", "`FILE` with a token that requests must bear (Authorization: Bearer ...)")
	must(cmd.MarkFlagRequired("ui-origin"))
	return cmd
}

func (a *app) serveCodec(f *serveFlags) error {
	keys, err := codec.Load(f.keys, os.Getenv)
	if err != nil {
		return err
	}
	if keys == nil {
		return failure.Errorf(failure.Usage, "there is nothing to decrypt with: name a key file with --codec-key-file or %s", codec.Env)
	}
	var access codec.Access
	for _, text := range f.origins {
		origin, err := codec.Origin(text)
		if err != nil {
			return err
		}
		access.Origins = append(access.Origins, origin)
	}
	if access.Token, err = config.ReadSecretFile(f.token); err != nil {
		return err
	}
	log, err := telemetry.NewLogger(a.errOut, "text")
	if err != nil {
		return err
	}
	server, err := codec.Listen(f.listen)
	if err != nil {
		return err
	}
	server.Serve(keys, access, log)
	doc := struct {
		Address string   `json:"address"`
		Origins []string `json:"origins"`
	}{"http://" + server.Address(), access.Origins}
	err = a.result(doc, func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "Decrypting at %s for %s.\n", doc.Address, strings.Join(doc.Origins, ", "))
		return err
	})
	if err == nil {
		<-a.ctx.Done()
		a.ends = true
	}
	if closed := server.Close(); err == nil {
		err = closed
	}
	return err
}
