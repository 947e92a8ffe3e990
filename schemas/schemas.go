// Package schemas reads, prints and validates the JSON documents of the program: strict parsing, the canonical form of
// RFC 8785, digests, and the JSON Schemas (draft 2020-12) of all documents, which are embedded. The schemas of the
// parameters of each kind of job are in package kind.
package schemas

import (
	"embed"
	"slices"
	"strings"
)

//go:embed *.schema.json
var files embed.FS

const suffix = ".schema.json"

// Names returns the names of the embedded schemas, in order. The schema of name N describes documents whose $schema is
// "sheratan.N/v1".
func Names() []string {
	entries, err := files.ReadDir(".")
	if err != nil {
		return nil // an embedded folder can always be read
	}
	names := make([]string, 0, len(entries))
	for _, e := range entries {
		names = append(names, strings.TrimSuffix(e.Name(), suffix))
	}
	slices.Sort(names)
	return names
}

// Source returns the text of the embedded schema of that name, one of Names.
func Source(name string) ([]byte, bool) {
	b, err := files.ReadFile(name + suffix)
	return b, err == nil
}
