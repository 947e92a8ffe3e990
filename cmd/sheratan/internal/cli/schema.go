package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/sheratan/sheratan/pipeline/kind"
	"github.com/sheratan/sheratan/schemas"
)

func newSchema(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "schema NAME | list",
		Short: "print the JSON Schema of a document",
		Long: `Prints a JSON Schema (draft 2020-12) as it is built into this program. Documents are checked against it, so it
says what may stand in them. kind.NAME is the schema of the parameters of a kind.`,
		Example: `sheratan schema list
sheratan schema proposal > proposal.schema.json`,
		Annotations: exits(),
		Args:        cobra.ExactArgs(1),
		RunE: a.run(func(_ context.Context, args []string) error {
			return runSchema(a, args[0])
		}),
		ValidArgsFunction: completeWords(append(schemaNames(), "list")...),
	}
}

// schemaNames lists the schemas of documents, then those of the parameters of kinds.
func schemaNames() []string { return append(schemas.Names(), kind.Names()...) }

func runSchema(a *app, name string) error {
	if name == "list" {
		for _, n := range schemaNames() {
			if err := a.show(map[string]string{"name": n}, n+"\n"); err != nil {
				return err
			}
		}
		return nil
	}
	source, ok := schemas.Source(name)
	if !ok {
		source, ok = kind.Source(name)
	}
	if !ok {
		return hint(fmt.Errorf("%s: no such schema", escape(name)), "sheratan schema list")
	}
	return a.writeDocument(source)
}

// writeDocument prints a JSON document of this program, with --json on one line.
func (a *app) writeDocument(source []byte) error {
	var b bytes.Buffer
	if a.global.JSON {
		if err := json.Compact(&b, source); err != nil {
			return err
		}
		b.WriteByte('\n')
		source = b.Bytes()
	}
	_, err := a.out.Write(source)
	return err
}

// show prints v as a line of JSON with --json, else text.
func (a *app) show(v any, text string) error {
	if a.global.JSON {
		return a.out.line(v)
	}
	return a.out.printf("%s", text)
}
