package rules

import (
	"testing"

	"github.com/sheratan/sheratan/runtime/workspace"
)

func BenchmarkLoad(b *testing.B) {
	m, err := Init(workspace.InitOptions{Cwd: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		r, err := Load(b.Context(), m.Workspace, Options{})
		if err != nil {
			b.Fatal(err)
		}
		r.Close()
	}
}
