package pipeline

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/sheratan/sheratan/pipeline/rules"
)

// TestCachesBelongToSources: a source finds what it has left and the filling of the operator, and nothing of others.
func TestCachesBelongToSources(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	shared := filepath.Join(dir, "cache", "go-build")
	c := caches{dir: filepath.Join(dir, "cache", "sources")}
	put := func(path, text string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	text := func(path string) string {
		b, _ := os.ReadFile(path)
		return string(b)
	}
	of := func(source string) string {
		t.Helper()
		own := c.of([]string{shared}, source, nil)
		if len(own) != 1 || own[shared] == "" || own[shared] == shared {
			t.Fatalf("%s: %v", source, own)
		}
		return own[shared]
	}

	// What lies in the shared folder without having been filled may be of jobs: before caches belonged to sources they wrote there.
	put(shared+"/00/a", "of some job")
	one, two := of("one"), of("two")
	if one == two || text(one+"/00/a") != "" {
		t.Errorf("%s, %s: %q", one, two, text(one+"/00/a"))
	}
	put(one+"/00/b", "poison")
	if of("one") != one || text(of("two")+"/00/b") != "" || text(shared+"/00/b") != "" {
		t.Error("what one source left is found by another, or not by itself")
	}

	// Filled by the operator, all begin anew with a copy.
	for _, round := range []string{"first", "second"} {
		put(dir+"/temp/00/std", round)
		if err := fill(dir+"/temp", shared); err != nil {
			t.Fatal(err)
		}
		again := of("one")
		if again == one || text(again+"/00/std") != round || text(again+"/00/b") != "" {
			t.Errorf("%s: %s has %q and %q", round, again, text(again+"/00/std"), text(again+"/00/b"))
		}
		put(again+"/00/std", "poison")
		if text(of("two")+"/00/std") != round || text(shared+"/00/std") != round {
			t.Errorf("%s: the copy is no copy", round)
		}
		one = again
	}
	if left, _ := filepath.Glob(shared + ".*.filled"); len(left) != 1 {
		t.Errorf("marks: %v", left)
	}

	r := &rules.Rules{Config: rules.DefaultConfig()}
	r.Config.Host.Env = map[string]string{"GOCACHE": shared, "IN": shared + "/x", "BESIDE": shared + "er", "OTHER": "y"}
	env := inCache(r, map[string]string{shared: "/own"})
	if len(env) != 2 || env["GOCACHE"] != "/own" || env["IN"] != "/own/x" {
		t.Errorf("%v", env)
	}
}
