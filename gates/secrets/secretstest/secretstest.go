// Package secretstest makes texts with credentials, in the formats that issuers hand out, and texts that only look as if they had
// some. They are made from patterns, never written out, so that no scanner of repositories takes them for what they imitate.
// The forms are public: each issuer documents the prefix of its tokens, or shows one where it explains how to use it.
package secretstest

import (
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"strings"
)

// Sample is a text, and the secret in it. A look-alike has no secret.
type Sample struct {
	Family string // for example "source hosting"
	Name   string // of the form, unique
	Text   string
	Secret string // part of Text, "" for a look-alike
}

// Alphabets of the patterns.
const (
	lower  = "abcdefghijklmnopqrstuvwxyz"
	upper  = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	digit  = "0123456789"
	mixed  = lower + upper + digit
	hex    = digit + "abcdef"
	url    = mixed + "-_"
	std    = mixed + "+/"
	base32 = lower + "234567"
	caps   = upper + digit
	low    = lower + digit
	bech32 = "ACDEFGHJKLMNPQRSTUVWXYZ023456789"
)

// maker draws what patterns are made of. The same seed makes the same samples.
type maker struct{ r *rand.Rand }

func newMaker(seed uint64) maker { return maker{rand.New(rand.NewPCG(seed, 0x5e7))} }

// of draws n characters of a set. There is a digit and a letter among them where the set has both, as there is in
// practice in every secret of some length.
func (m maker) of(set string, n int) string {
	for {
		b := make([]byte, n)
		for i := range b {
			b[i] = set[m.r.IntN(len(set))]
		}
		s := string(b)
		both := strings.ContainsAny(set, digit) && strings.ContainsAny(set, lower+upper)
		if !both || n < 6 || strings.ContainsAny(s, digit) && strings.ContainsAny(s, lower+upper) {
			return s
		}
	}
}

// uuid draws one.
func (m maker) uuid() string {
	return strings.Join([]string{m.of(hex, 8), m.of(hex, 4), "4" + m.of(hex, 3), "a" + m.of(hex, 3), m.of(hex, 12)}, "-")
}

// bytes draws random bytes in Base64.
func (m maker) bytes(n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(m.r.Uint32())
	}
	return base64.StdEncoding.EncodeToString(b)
}

// pem draws a PEM block of n bytes.
func (m maker) pem(label string, n int) string {
	var b strings.Builder
	text := m.bytes(n)
	fmt.Fprintf(&b, "-----BEGIN %s-----\n", label)
	for len(text) > 64 {
		b.WriteString(text[:64] + "\n")
		text = text[64:]
	}
	fmt.Fprintf(&b, "%s\n-----END %s-----", text, label)
	return b.String()
}

// password draws one as people and generators make them.
func (m maker) password() string {
	words := []string{"Summer", "tr0ub4dor", "blue-Harbor", "Kettle", "nordlicht", "Piano", "w1nter"}
	return words[m.r.IntN(len(words))] + m.of(digit, 4) + []string{"!", "#", "-Qx", "_z", "%"}[m.r.IntN(5)] + m.of(mixed, 3)
}

// surroundings are where tokens stand that are known by their form.
var surroundings = []string{
	"%s", "use %s for this, please", `{"value":"%s"}`, "curl -H 'X-Key: %s' https://api.example.org/v1", "https://api.example.org/v1?k=%s&page=2", "  - %s\n  - other\n",
}

// Credentials makes samples of all forms, each in two surroundings.
func Credentials(seed uint64) (list []Sample) {
	m := newMaker(seed)
	for i, f := range issued {
		for k := range 2 {
			secret := f.make(m)
			around := surroundings[(i+3*k)%len(surroundings)]
			if strings.Contains(secret, "\n") {
				around = []string{"%s", "here it is:\n%s\nkeep it safe"}[k]
			}
			list = append(list, Sample{f.family, fmt.Sprintf("%s/%d", f.name, k), fmt.Sprintf(around, secret), secret})
		}
	}
	for _, f := range placed {
		secret := f.make(m)
		list = append(list, Sample{f.family, f.name, strings.ReplaceAll(f.around, "%s", secret), secret})
	}
	return list
}

// LookAlikes makes samples without a secret.
func LookAlikes(seed uint64) (list []Sample) {
	m := newMaker(seed ^ 0xa11ce)
	for _, f := range harmless {
		for k := range f.times {
			list = append(list, Sample{Family: f.family, Name: fmt.Sprintf("%s/%d", f.name, k), Text: f.make(m)})
		}
	}
	return list
}
