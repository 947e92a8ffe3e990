//go:build amd64 || arm64

package sandbox

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestQuotaBeside: what a job adds to the folders that it may change counts, and not what was there before it.
func TestQuotaBeside(t *testing.T) {
	each(t, func(t *testing.T, level Level) {
		for _, c := range []struct {
			name, script string
			over         bool
		}{
			{"a new file", "head -c 4M /dev/zero >beside/new; sleep 20", true},
			{"many new files", "mkdir beside/d; i=0; while [ $i -lt 6000 ]; do : >beside/d/$i; i=$((i+1)); done; sleep 20", true},
			{"a new one in the place of an old one", "head -c 4M /dev/zero >beside/new; mv beside/new beside/old; sleep 20", true},
			{"an old one grows", "sleep 1; head -c 4M /dev/zero >>beside/old; sleep 20", true},
			{"deleted and open", "exec 9>beside/new; rm beside/new; head -c 4M /dev/zero >&9; sleep 20", true},
			{"what was there", "echo x >>beside/old; mv beside/old beside/older; chmod 600 beside/older; sleep 1", false},
			{"what is gone again", "sleep 0.4; rm beside/old; head -c 512K /dev/zero >beside/new; sleep 1", false},
			{"what is not for it", "head -c 512K /dev/zero >beside/new; sleep 1", false},
		} {
			t.Run(c.name, func(t *testing.T) {
				t.Parallel()
				j := confined(t, level, "cd ..; "+c.script)
				beside := filepath.Join(filepath.Dir(j.Dir), "beside")
				hidden := filepath.Join(beside, "hidden")
				if err := os.MkdirAll(hidden, 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(beside, "old"), make([]byte, 8<<20), 0o644); err != nil {
					t.Fatal(err)
				}
				j.Confine.Write = []string{beside}
				if level == LevelFull { // at the other one nothing new is made beside it
					j.Confine.Keep = []string{hidden}
				}
				j.Confine.Limits.Disk, j.Timeout = 2<<20, time.Minute
				time.Sleep(50 * time.Millisecond)
				if c.name == "what is not for it" && level == LevelFull {
					go func() {
						time.Sleep(300 * time.Millisecond)
						os.WriteFile(filepath.Join(hidden, "new"), make([]byte, 8<<20), 0o644)
					}()
				}
				if r := run(t, j); r.OverDisk != c.over || r.TimedOut {
					t.Errorf("%+v %s", r, j.Stderr.Head)
				}
			})
		}
	})
}
