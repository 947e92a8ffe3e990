package pipeline

import (
	"encoding/base64"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/sheratan/sheratan/pipeline/job"
)

// encodedSecrets are texts that cannot be parsed, with the credential in another form than its own.
func encodedSecrets() map[string]string {
	text := `{"payload": {"token": "` + secret + `"`
	le, be, escaped := []byte{0xff, 0xfe}, []byte{}, ""
	for _, u := range utf16.Encode([]rune(text)) {
		le, be = append(le, byte(u), byte(u>>8)), append(be, byte(u>>8), byte(u))
	}
	for i := range len(secret) {
		escaped += fmt.Sprintf(`\u%04x`, secret[i])
	}
	return map[string]string{
		"UTF-16LE": string(le), "UTF-16BE": string(be),
		"escapes": `{"payload": {"token": "` + escaped + `"`,
		"percent": "{ " + url.QueryEscape("token="+secret+" & more") + strings.ReplaceAll(url.QueryEscape(secret), "_", "%5F"),
		"base64":  "{ " + base64.StdEncoding.EncodeToString([]byte("user:"+secret)),
	}
}

// Bytes that do not parse and have a credential in another form are kept where only the owner reads them, whole, and the
// documents have their digest.
func TestEncodedCredentialsStayPrivate(t *testing.T) {
	for name, raw := range encodedSecrets() {
		for _, file := range []string{"p.json", "p.jsonl"} {
			if file == "p.jsonl" && strings.HasPrefix(name, "UTF-16") {
				continue // its lines are no UTF-16
			}
			t.Run(name+"/"+file, func(t *testing.T) {
				w := newWorld(t)
				w.drop("operator", file, raw)
				w.gate()
				w.forward(3e9)
				w.gate()
				blocked := w.quarantined()
				if len(blocked) != 1 {
					t.Fatalf("blocked: %+v", blocked)
				}
				private := w.ws.PrivateDocument(blocked[0].ID)
				if got, want := w.holding(raw), []string{w.ws.Rel(private)}; !slices.Equal(got, want) {
					t.Errorf("found in %q, want only %q", got, want)
				}
				kept := base64.StdEncoding.EncodeToString([]byte(raw))
				if got := w.holding(kept[:len(kept)-4]); len(got) > 0 {
					t.Errorf("as base64 in %q", got)
				}
				if info, err := os.Stat(private); err != nil || info.Mode().Perm() != 0o600 {
					t.Errorf("%v, %v", info, err)
				}
				in, _, err := w.p.loadIntake(w.row(blocked[0].ID))
				w.check(err)
				if in.Raw == nil || in.Raw.Base64 != "" || in.Raw.Bytes != int64(len(raw)) {
					t.Errorf("document: %+v", in.Raw)
				}
				if _, err := w.p.Gate(t.Context(), GateOptions{Blocked: true}, ignoreLine); err != nil {
					t.Error(err)
				}
				w.is(blocked[0].ID, job.StatusQuarantined, "")
				w.verify()
			})
		}
	}
}
