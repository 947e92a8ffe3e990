package sandbox

import (
	"os"
	"path/filepath"
	"testing"
)

// confined returns a command that runs a script at a level, in a work folder that it may write to.
func confined(t *testing.T, level Level, script string) *Cmd {
	t.Helper()
	c := shell(t, script)
	work := filepath.Join(c.Dir, "work")
	if err := os.MkdirAll(filepath.Join(work, "tmp"), 0o755); err != nil {
		t.Fatal(err)
	}
	c.Dir, c.Level = work, level
	c.Confine = &Confinement{Read: SystemPaths(), Work: work, Tmp: filepath.Join(work, "tmp")}
	return c
}

func TestConfined(t *testing.T) {
	for _, level := range []Level{LevelFull, LevelRestricted} {
		c := confined(t, level, "id; pwd; echo $$; ls -la / /proc/self/; cat /proc/self/status | grep -i -E 'cap|sec|nonew'; cat; echo x > y; ls -la; mount; exit 3")
		c.Stdin = []byte("in\n")
		r, err := c.Run(t.Context())
		t.Logf("%+v %v\n%s%s", r, err, c.Stdout.Head, c.Stderr.Head)
	}
}
