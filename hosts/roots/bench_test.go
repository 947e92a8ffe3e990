package roots

import (
	"os"
	"path/filepath"
	"testing"
)

func BenchmarkCheck(b *testing.B) {
	ws := b.TempDir()
	for _, d := range []string{"work/a/b/c", "config", "runtime", "missions"} {
		if err := os.MkdirAll(filepath.Join(ws, d), 0o755); err != nil {
			b.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(ws, "work/a/b/c/f.go"), []byte("x"), 0o644); err != nil {
		b.Fatal(err)
	}
	r, err := Open(ws, []string{"work"}, []string{"config", "runtime", "missions"})
	if err != nil {
		b.Fatal(err)
	}
	defer r.Close()
	for _, path := range []string{"f.go", "a/f.go", "a/b/c/f.go", "a/b/new/f.go", "../config/x", "a/b/.git/config"} {
		b.Run(path, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				r.Check(path)
			}
		})
	}
}
