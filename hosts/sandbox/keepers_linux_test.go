//go:build amd64 || arm64

package sandbox

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"testing"
)

func TestConfinedKeepersAreUsedAgain(t *testing.T) {
	each(t, func(t *testing.T, level Level) {
		var keepers Keepers
		defer keepers.Close()
		first := confined(t, level, "echo x >> n; wc -l < n")
		pid := func() int {
			if len(keepers.idle) != 1 {
				t.Fatal(len(keepers.idle))
			}
			return keepers.idle[0].pid
		}
		again := func() *Cmd {
			c := confined(t, level, first.Argv[2])
			c.Dir, c.Confine, c.Keepers = first.Dir, first.Confine, &keepers
			return c
		}
		run(t, again())
		before := pid()
		c := again()
		if run(t, c); string(c.Stdout.Head) != "2\n" || pid() != before {
			t.Fatalf("%s", c.Stdout.Head)
		}
		// A folder of the same name is not the same folder.
		if err := os.Rename(first.Dir, first.Dir+".old"); err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(first.Dir+"/tmp", 0o755); err != nil {
			t.Fatal(err)
		}
		c = again()
		if r := run(t, c); r.ExitCode != 0 || string(c.Stdout.Head) != "1\n" {
			t.Fatalf("%+v %s", r, c.Stdout.Head)
		}
	})
}

// TestConfinedManyAtOnce looks for what only shows under load.
func TestConfinedManyAtOnce(t *testing.T) {
	each(t, func(t *testing.T, level Level) {
		var keepers Keepers
		fds := func() int { e, _ := os.ReadDir("/proc/self/fd"); return len(e) }
		before := fds()
		failures := make(chan string)
		const slots, n = 4, 50
		for slot := range slots {
			first := confined(t, level, "")
			go func() {
				for i := range n {
					out := &Capture{Path: first.Stdout.Path, HeadLimit: 100}
					c := *first
					c.Argv = []string{"sh", "-c", fmt.Sprintf("echo %d.%d; exit %d", slot, i, i)}
					c.Stdout, c.Keepers = out, &keepers
					r, err := c.Run(context.Background())
					out.Close(false)
					if err != nil || r.ExitCode != i || string(out.Head) != fmt.Sprintf("%d.%d\n", slot, i) {
						failures <- fmt.Sprintf("%+v %v %q", r, err, out.Head)
					}
				}
				failures <- ""
			}()
		}
		for done := 0; done < slots; {
			if s := <-failures; s != "" {
				t.Error(s)
			} else {
				done++
			}
		}
		keepers.Close()
		if after := fds(); after > before+2 {
			t.Errorf("%d descriptors before, %d after", before, after)
		}
	})
}

// TestConfinedHide has the work folder inside a folder that is hidden, inside one that can be read.
func TestConfinedHide(t *testing.T) {
	each(t, func(t *testing.T, level Level) {
		c := confined(t, level, `cat "$0/seen" && test -z "$(ls -A "$0/config")" && ! cat "$0/key" && ! touch "$0/config/new" &&
			test "$(ls "$0/runtime")" = work && touch mine`)
		root := t.TempDir()
		for _, d := range []string{"config", "runtime/other", "runtime/work"} {
			if err := os.MkdirAll(root+"/"+d, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		for _, f := range []string{"seen", "key", "config/secret", "runtime/secret"} {
			if err := os.WriteFile(root+"/"+f, []byte("x"), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		c.Argv = append(c.Argv, root)
		c.Confine.Tmp, c.Confine.Work, c.Dir = "", root+"/runtime/work", root+"/runtime/work"
		c.Confine.Read = append(c.Confine.Read, root)
		c.Confine.Hide = []string{root + "/config", root + "/runtime", root + "/key", root + "/none"}
		r, err := c.Run(t.Context())
		if level == LevelFull && (err != nil || r.ExitCode != 0) {
			t.Errorf("%+v %v %s", r, err, c.Stderr.Head)
		}
		if start, ok := errors.AsType[*StartError](err); level == LevelRestricted && (!ok || start.Primitive != "confinement") {
			t.Errorf("%+v %v", r, err)
		}
	})
}

// TestKeeperIdentity: a keeper serves a confinement that differs in nothing that it promises. Each field is changed once; a
// new one fails here until somebody decides about it.
func TestKeeperIdentity(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"work/tmp", "work/other", "other", "kept", "hidden"} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	base := func() Confinement {
		return Confinement{Read: []string{"/usr"}, Work: dir + "/work", Tmp: dir + "/work/tmp"}
	}
	id := func(c Confinement) string {
		t.Helper()
		key, err := identity(LevelFull, &c)
		if err != nil {
			t.Fatal(err)
		}
		return key
	}
	// What the runner sees to, for each attempt.
	runners := map[string]bool{"Limits.Disk": true}
	changed := map[string]reflect.Value{
		"Work": reflect.ValueOf(dir + "/other"), "Tmp": reflect.ValueOf(dir + "/work/other"),
		"Objects": reflect.ValueOf(map[string]Object{dir + "/work": {1, 2}}),
		"Devices": reflect.ValueOf([]string{"/dev/null"}), "Network": reflect.ValueOf(true),
		"User": reflect.ValueOf(&User{UID: 1, GID: 1}),
	}
	var compare func(prefix string, at func(*Confinement) reflect.Value)
	compare = func(prefix string, at func(*Confinement) reflect.Value) {
		zero := base()
		for i := range at(&zero).NumField() {
			name := prefix + at(&zero).Type().Field(i).Name
			field := func(c *Confinement) reflect.Value { return at(c).Field(i) }
			if field(&zero).Kind() == reflect.Struct {
				compare(name+".", field)
				continue
			}
			c := base()
			switch value, ok := changed[name]; {
			case ok:
				field(&c).Set(value)
				if name == "Work" {
					c.Tmp = ""
				}
			case field(&c).Kind() == reflect.Int64:
				field(&c).SetInt(7)
			case field(&c).Kind() == reflect.Slice:
				field(&c).Set(reflect.ValueOf([]string{dir + "/other"}))
			default:
				t.Errorf("%s: nothing says what it means for the identity of a keeper", name)
				continue
			}
			without := base()
			if name == "Work" {
				without.Tmp = ""
			}
			if differs := id(c) != id(without); differs == runners[name] {
				t.Errorf("%s: identities differ: %t", name, differs)
			}
		}
	}
	compare("", func(c *Confinement) reflect.Value { return reflect.ValueOf(c).Elem() })
	// Paths do not change places between lists, and what is made anew is something else.
	a, b := base(), base()
	a.Keep, b.Hide = []string{dir + "/kept"}, []string{dir + "/kept"}
	if id(a) == id(b) {
		t.Error("kept and hidden are the same")
	}
	before := id(a)
	if err := os.Rename(dir+"/kept", dir+"/old"); err != nil {
		t.Fatal(err)
	}
	gone := id(a)
	if err := os.Mkdir(dir+"/kept", 0o755); err != nil {
		t.Fatal(err)
	}
	if again := id(a); before == gone || before == again || gone == again {
		t.Error("a folder that was made anew is taken for the old one")
	}
	if k, err := identity(LevelRestricted, &Confinement{Work: dir + "/work"}); err != nil || k == id(Confinement{Work: dir + "/work"}) {
		t.Errorf("levels are the same: %v", err)
	}
}
