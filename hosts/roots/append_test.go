package roots

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// TestAppendTogether: of those who append to a file that is not there yet, one makes it, and the others find it.
func TestAppendTogether(t *testing.T) {
	dir := t.TempDir()
	r, err := Open(dir, []string{"."}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	const writers, rounds = 8, 40
	for round := range rounds {
		name := "file" + strings.Repeat("x", round)
		var wg sync.WaitGroup
		for range writers {
			wg.Go(func() {
				if err := r.WriteFile(name, []byte("line\n"), Append); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		text, err := os.ReadFile(filepath.Join(dir, name))
		if n := strings.Count(string(text), "line\n"); err != nil || n != writers {
			t.Fatalf("%s: %d lines, want %d: %v", name, n, writers, err)
		}
	}
}
