//go:build amd64 || arm64

package sandbox

import (
	"os"
	"reflect"
	"strconv"
	"strings"
	"testing"
)

// TestPathsOfAnyBytes: every path of a confinement reaches the keeper as it is.
func TestPathsOfAnyBytes(t *testing.T) {
	c := Confinement{Objects: map[string]Object{"/a\xff/object": {1, 2}}}
	v := reflect.ValueOf(&c).Elem()
	for i := range v.NumField() {
		name := "/a\xffb\u00e9\n\"/" + v.Type().Field(i).Name
		switch f := v.Field(i); {
		case f.Kind() == reflect.String:
			f.SetString(name)
		case f.Type() == reflect.TypeFor[[]string]():
			f.Set(reflect.ValueOf([]string{name, name + "2"}))
		}
	}
	quoted, err := c.withPaths(func(path string) (string, error) { return strconv.Quote(path), nil })
	if err != nil {
		t.Fatal(err)
	}
	q := reflect.ValueOf(quoted)
	for i := range q.NumField() {
		name := q.Type().Field(i).Name
		switch f := q.Field(i).Interface().(type) {
		case string:
			if !strings.HasPrefix(f, `"/a\xff`) {
				t.Errorf("%s goes as %q", name, f)
			}
		case []string:
			if len(f) != 2 || !strings.HasPrefix(f[1], `"/a\xff`) {
				t.Errorf("%s goes as %q", name, f)
			}
		}
	}
	again, err := quoted.withPaths(strconv.Unquote)
	if err != nil || !reflect.DeepEqual(again, c) {
		t.Errorf("%v: %+v became %+v", err, c, again)
	}
}

// TestClosedUnderAnyName: what is closed to a job stays so where its name, or that of a folder on the way, is not UTF-8.
func TestClosedUnderAnyName(t *testing.T) {
	for _, level := range []Level{LevelFull, LevelRestricted} {
		t.Run(string(level), func(t *testing.T) {
			need(t, level)
			for _, kept := range []bool{false, true} {
				root := t.TempDir()
				if err := os.MkdirAll(root+"/caf\xe9/.git", 0o755); err != nil {
					t.Skip(err)
				}
				c := confined(t, level, "cd caf* && echo evil >.git/config")
				c.Confine.Write, c.Dir = []string{root}, root
				if kept {
					c.Confine.Keep = []string{root + "/caf\xe9/.git"}
				}
				if r := run(t, c); r.ExitCode == 0 == kept {
					t.Errorf("kept %t: %+v %s", kept, r, c.Stderr.Head)
				}
			}
		})
	}
}
