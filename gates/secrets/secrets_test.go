package secrets_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/sheratan/sheratan/gates/secrets"
	"github.com/sheratan/sheratan/gates/secrets/secretstest"
)

// seed makes the samples. Others are tried by hand: what is found must not depend on it.
const seed = 1

// TestSecrets prints how many credentials are found, and how many look-alikes are taken for one; `make secrets` shows it. A
// credential counts as found when nothing of it is left.
func TestSecrets(t *testing.T) {
	t.Parallel()
	type count struct{ all, hit int }
	found, wrong := map[string]count{}, map[string]count{}
	add := func(m map[string]count, family string, hit bool) {
		for _, name := range []string{family, "~ all"} {
			c := m[name]
			if c.all++; hit {
				c.hit++
			}
			m[name] = c
		}
	}
	credentials, lookAlikes := secretstest.Credentials(seed), secretstest.LookAlikes(seed)
	if len(credentials) < 250 || len(lookAlikes) < 250 {
		t.Fatalf("%d credentials and %d look-alikes", len(credentials), len(lookAlikes))
	}
	for _, s := range credentials {
		clean, _ := secrets.Redact(s.Text)
		hit := !leaks(clean, s.Secret)
		add(found, s.Family, hit)
		if !hit {
			t.Errorf("%s, %s: not found in %.120q: %.120q", s.Family, s.Name, s.Text, clean)
		}
	}
	for _, s := range lookAlikes {
		clean, n := secrets.Redact(s.Text)
		add(wrong, s.Family, n > 0)
		if n > 0 {
			t.Errorf("%s, %s: taken for a credential: %.120q: %.120q", s.Family, s.Name, s.Text, clean)
		}
	}
	for _, part := range []struct {
		what   string
		counts map[string]count
	}{{"recall", found}, {"false positives", wrong}} {
		for _, family := range slices.Sorted(maps.Keys(part.counts)) {
			c := part.counts[family]
			t.Logf("%-15s  %-15s %3d of %3d  %6.2f %%", part.what, strings.TrimPrefix(family, "~ "), c.hit, c.all, 100*float64(c.hit)/float64(c.all))
		}
	}
}

// leaks reports whether a recognisable piece of a secret is left: twelve characters in a row, or half of a short one.
func leaks(text, secret string) bool {
	n := min(12, max(len(secret)/2, 6))
	for i := 0; i+n <= len(secret); i++ {
		if strings.Contains(text, secret[i:i+n]) {
			return true
		}
	}
	return false
}

// TestOtherSeeds: what is found does not hang on the characters that happened to be drawn.
func TestOtherSeeds(t *testing.T) {
	t.Parallel()
	for other := uint64(2); other < 42; other++ {
		for _, s := range secretstest.Credentials(other) {
			if clean, _ := secrets.Redact(s.Text); leaks(clean, s.Secret) {
				t.Errorf("seed %d: %s, %s: %.120q", other, s.Family, s.Name, clean)
			}
		}
		for _, s := range secretstest.LookAlikes(other) {
			if clean, n := secrets.Redact(s.Text); n > 0 {
				t.Errorf("seed %d: %s, %s: %.120q", other, s.Family, s.Name, clean)
			}
		}
	}
}

// BenchmarkFindCredentials looks through all look-alikes, which are the worst of ordinary texts.
func BenchmarkFindCredentials(b *testing.B) {
	var text []byte
	for _, s := range secretstest.LookAlikes(seed) {
		text = append(append(text, s.Text...), '\n')
	}
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		secrets.Find(text)
	}
}
