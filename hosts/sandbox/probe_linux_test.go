package sandbox

import (
	"strings"
	"testing"
)

// need skips where the machine has no such level.
func need(t testing.TB, level Level) {
	t.Helper()
	f := Probe()
	if f.Level != LevelFull && f.Level != level {
		t.Skipf("this machine has no level %s: %s", level, strings.Join(f.Missing, "; "))
	}
}

func TestProbe(t *testing.T) {
	f := Probe()
	if f.Kernel == "" || !f.Pidfd || f.Missing == nil || len(f.Gaps) != len(f.Missing) {
		t.Fatalf("%+v", f)
	}
	if f.Level != LevelFull && len(f.Gaps) == 0 {
		t.Fatalf("nothing is said to be missing, and yet: %+v", f)
	}
	for _, g := range f.Gaps {
		if g.Primitive == "" || g.Level == "" && g.Lost == "" || strings.Contains(g.String(), "\n") {
			t.Errorf("%+v", g)
		}
	}
	t.Logf("%+v", f)
}

func TestOlderLandlockIsNamed(t *testing.T) {
	for abi, want := range map[int]int{0: 0, 1: 6, 3: 4, 4: 3, 6: 1, 9: 0} {
		gaps := landlockGaps(abi)
		if len(gaps) != want {
			t.Errorf("ABI %d: %v", abi, gaps)
		}
		for _, g := range gaps {
			if g.Enable == "" {
				t.Errorf("%+v", g)
			}
		}
	}
}
