package secrets

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/sheratan/sheratan/gates/words"
)

// made up returns n characters of a set, always the same. No credential of these tests was ever issued, and none is
// written out, so that scanners of repositories leave them alone.
func madeUp(set string, n int) string {
	r := rand.New(rand.NewPCG(1, uint64(n)))
	b := make([]byte, n)
	for i := range b {
		b[i] = set[r.IntN(len(set))]
	}
	return string(b)
}

const (
	mixed = lower + upper + digits
	hexes = "0123456789abcdef"
)

func credentials() map[string]string {
	jwt := "eyJ" + madeUp(mixed, 30) + ".eyJ" + madeUp(mixed, 60) + "." + madeUp(mixed, 43)
	return map[string]string{
		"aws-access-key-id":         "AKIA" + madeUp(upper, 16),
		"github-token":              "ghp_" + madeUp(mixed, 36),
		"github-fine-grained-token": "github_pat_" + madeUp(mixed, 22) + "_" + madeUp(mixed, 59),
		"gitlab-token":              "glpat-" + madeUp(mixed, 20),
		"slack-token":               "xoxb-" + madeUp(digits, 12) + "-" + madeUp(mixed, 24),
		"slack-webhook":             "hooks.slack.com/services/T" + madeUp(upper, 8) + "/B" + madeUp(upper, 8) + "/" + madeUp(mixed, 24),
		"stripe-key":                "sk_live_" + madeUp(mixed, 24),
		"google-api-key":            "AIza" + madeUp(mixed, 35),
		"openai-key":                "sk-proj-" + madeUp(mixed, 60),
		"anthropic-key":             "sk-ant-api03-" + madeUp(mixed, 93),
		"npm-token":                 "npm_" + madeUp(mixed, 36),
		"pypi-token":                "pypi-AgE" + madeUp(mixed, 150),
		"sendgrid-key":              "SG." + madeUp(mixed, 22) + "." + madeUp(mixed, 43),
		"twilio-key":                "SK" + madeUp(hexes, 32),
		"digitalocean-token":        "dop_v1_" + madeUp(hexes, 64),
		"hugging-face-token":        "hf_" + madeUp(mixed, 34),
		"telegram-bot-token":        madeUp(digits, 10) + ":AA" + madeUp(mixed, 33),
		"shopify-token":             "shpat_" + madeUp(hexes, 32),
		"databricks-token":          "dapi" + madeUp(hexes, 32),
		"vault-token":               "hvs." + madeUp(mixed, 90),
		"terraform-token":           madeUp(mixed, 14) + ".atlasv1." + madeUp(mixed, 67),
		"docker-token":              "dckr_pat_" + madeUp(mixed, 27),
		"age-secret-key":            "AGE-SECRET-KEY-1" + madeUp(upper, 58),
		"azure-client-secret":       madeUp(mixed, 3) + "8Q~" + madeUp(mixed, 34),
		"json-web-token":            jwt,
		"private-key":               "-----BEGIN OPENSSH PRIVATE KEY-----\n" + madeUp(mixed, 70) + "\n-----END OPENSSH PRIVATE KEY-----",
	}
}

func TestFormats(t *testing.T) {
	for name, secret := range credentials() {
		for _, around := range []string{"%s", "use %s now", "x=%q;", "(%s)", "\n%s\n", "'%s'", "a,%s,b"} {
			text := fmt.Sprintf(around, secret)
			if strings.Contains(around, "%q") && strings.Contains(secret, "\n") {
				continue
			}
			found := Find([]byte(text))
			if len(found) != 1 || found[0].Format != name || text[found[0].Start:found[0].End] != secret {
				t.Errorf("%s in %q: %+v", name, around, found)
				continue
			}
			clean, n := Redact(text)
			if want := strings.Replace(text, secret, "[redacted "+name+"]", 1); n != 1 || clean != want {
				t.Errorf("%s: redacted to %q, want %q", name, clean, want)
			}
		}
	}
}

func TestParts(t *testing.T) {
	key := madeUp(mixed, 24)
	for _, tt := range []struct{ text, format, secret string }{
		{"postgres://app:" + key + "@db.internal:5432/x", "url-password", key},
		{"https://user:p4ss%2Fw0rd!@host/", "url-password", "p4ss%2Fw0rd!"},
		{"DefaultEndpointsProtocol=https;AccountKey=" + madeUp(mixed, 86) + "==;", "azure-storage-key", madeUp(mixed, 86) + "=="},
		{"Authorization: Bearer " + key, "authorization-header", key},
		{"authorization: basic dXNlcjpwYXNzd29yZDEyMw==", "authorization-header", "dXNlcjpwYXNzd29yZDEyMw=="},
		{"export DB_PASSWORD=" + key, FormatAssignment, key},
		{`{"password": "` + key + `"}`, FormatAssignment, key},
		{"api_key: '" + key + "'", FormatAssignment, key},
		{"aws_secret_access_key = " + madeUp(mixed, 40), FormatAssignment, madeUp(mixed, 40)},
		{`client_secret => "` + key + `"`, FormatAssignment, key},
		{"token ghp_" + madeUp(mixed, 36) + " in api_key=ghp_" + madeUp(mixed, 36), "github-token", "ghp_" + madeUp(mixed, 36)},
		{"-----BEGIN RSA PRIVATE KEY-----\nMIIE", "private-key", "-----BEGIN RSA PRIVATE KEY-----\nMIIE"},
	} {
		found := Find([]byte(tt.text))
		if len(found) == 0 || found[0].Format != tt.format || tt.text[found[0].Start:found[0].End] != tt.secret {
			t.Errorf("%q: %+v", tt.text, found)
		}
	}
}

// TestHarmless are texts that are near a credential and must not be taken for one: what cries wolf is switched off.
func TestHarmless(t *testing.T) {
	for _, text := range []string{
		"", "password", "password:", "The password must have 12 characters.", "password = os.Getenv(\"DB_PASSWORD1\")",
		"password: ${DB_PASSWORD}", "password=<your-password-1>", "password=changeme12345", "api_key = cfg.APIKey2",
		"secretName: my-secret", "password_file=/run/secrets/db_password_1", "func password(a1 string) string { return hash(a1) }",
		"token := scanner.Next()", "next_token = parser.token12", "the task-id is sk-1234", "risk-averse", "ghp_short", "AKIA1234",
		"postgres://user:password@localhost/db", "postgres://user:$PASS@localhost/db", "https://example.org:8080/x@y", "mailto:a@b",
		"http://[::1]:80/", "eyJhbGciOiJub25lIn0", "-----BEGIN CERTIFICATE-----\nMIIB", "-----BEGIN PUBLIC KEY-----", "bearer of good news",
		"basic " + strings.Repeat("instructions", 3), "AAAA" + madeUp(upper, 40), "sha256:" + madeUp(hexes, 64), "git commit " + madeUp(hexes, 40),
		"6f1c0a52-6f3d-4c77-9f0e-3a1d9c1b7a10", "key-" + madeUp(hexes, 32), "x" + "ghp_" + madeUp(mixed, 36), "data:image/png;base64," + madeUp(mixed, 400),
	} {
		if found := Find([]byte(text)); len(found) > 0 {
			t.Errorf("%q: %+v", text, found)
		}
	}
}

func TestRedactTree(t *testing.T) {
	secret := "ghp_" + madeUp(mixed, 36)
	tree := map[string]any{
		"a": []any{"x " + secret, 7, nil, true}, secret: "v", "p" + " " + secret: "w",
		"env": map[string]any{"DB_PASSWORD": "tr0ub4dor-and-3", "PASSWORD_FILE": "/run/x1", "N": "1"},
	}
	clean, n := RedactTree(tree)
	text := fmt.Sprint(clean)
	if n != 4 || strings.Contains(text, secret) || strings.Contains(text, "tr0ub4dor") || !strings.Contains(text, "/run/x1") {
		t.Errorf("%d: %s", n, text)
	}
	if len(clean.(map[string]any)) != 4 {
		t.Errorf("a member is lost: %s", text)
	}
	if fmt.Sprint(tree["a"]) != fmt.Sprint([]any{"x " + secret, 7, nil, true}) {
		t.Error("the original is changed")
	}
}

// TestArguments: a secret is told by the arguments before it, where a shell would have had them in one line.
func TestArguments(t *testing.T) {
	secret := madeUp(mixed, 24)
	for _, argv := range [][]any{
		{"vault", "login", "--token", secret}, {"curl", "-u", "admin:" + secret, "https://example.org"}, {"curl", "--user", "admin:" + secret},
		{"sshpass", "-p", secret, "ssh", "host"}, {"app", "--client-secret", secret}, {"app", "--api-key", secret},
		{"curl", "-uadmin:" + secret, "https://example.org"}, {"curl", "-s", "-X", "POST", "-u", "admin:" + secret}, {"mysql", "-h", "db", "-uroot", "-p" + secret, "shop"},
		{"docker", "login", "-u", "bot", "-p", secret, "registry.example.org"}, {"sshpass", "-p" + secret, "ssh", "host"}, {"openssl", "rsa", "-passin", "pass:" + secret},
		{"redis-cli", "-h", "cache", "-a", secret}, {"ldapsearch", "-D", "cn=a", "-w", secret}, {"aws", "configure", "set", "aws_secret_access_key", secret},
		{"keytool", "-list", "-storepass", secret}, {"smbclient", "//host/share", "-U", "ann%" + secret}, {"npm", "config", "set", "//registry.example.org/:_authToken", secret},
	} {
		clean, n := RedactTree(argv)
		if text := fmt.Sprint(clean); n != 1 || strings.Contains(text, secret) || len(clean.([]any)) != len(argv) {
			t.Errorf("%v: %d: %s", argv, n, text)
		}
		words := make([]string, len(argv))
		for i := range argv {
			words[i] = argv[i].(string)
		}
		last := len(words) - 1
		if NoArgument(words[:last], words[last]) {
			t.Errorf("%v: no word of it is looked at", argv)
		}
	}
	if !NoArgument([]string{"echo", "one"}, "two") || NoArgument([]string{"echo", "--tok\u200ben"}, secret) {
		t.Error("a list without any word for credentials is looked at word by word, or one with unseen characters is not")
	}
	for _, argv := range [][]any{
		{"mkdir", "-p", "build-" + secret}, {"app", "--token-file", "/run/" + secret}, {"docker", "run", "-u", "1000:1000"}, {"app", "--password-stdin", secret},
		{"app", "token", secret}, {"--token"}, {"git", "push", "-u", "origin:main2"}, {1, nil, "--token", true, secret}, {"mysql", "-P3306", "-p", "shop2"},
		{"docker", "run", "-p8080:8080", "web1"}, {"curl", "-u", "$USER:$PASS1"}, {"mysql", "-p$MYSQL_PWD"}, {"docker", "login", "-u", "bot", "--password-stdin"},
	} {
		if clean, n := RedactTree(argv); n != 0 {
			t.Errorf("%v: %v", argv, clean)
		}
	}
}

// TestSecretMember reads names as they are in JSON.
func TestSecretMember(t *testing.T) {
	secret, basic := madeUp(mixed, 24), "dXNlcjpwYXNzdzByZA=="
	for name, value := range map[string]string{"password": secret, "dbPass": secret, "DB_PASS": secret, "apiToken": secret, "auth": basic, "_auth": basic, "İ_password": secret} {
		if !IsMember(name, value) {
			t.Errorf("%s is none", name)
		}
	}
	for name, value := range map[string]string{"": secret, "bypass": secret, "nextPageToken": secret, "oauth": secret, "auth": "oauth2-client-v3", "token_hash": secret,
		"tokenizer": "cl100k_base1", "password_file": secret, "compass": secret, "password": "short1"} {
		if IsMember(name, value) {
			t.Errorf("%s is one", name)
		}
	}
}

// TestRedactIsStable redacts twice: what was put in place of a credential is none.
func TestRedactIsStable(t *testing.T) {
	pieces := []string{"password=", "password: \"", "\"", " ", "\n", "://u:", "@h", "bearer ", "x", "=", ":", ".", "-----BEGIN PRIVATE KEY-----", "-----END PRIVATE KEY-----"}
	for _, s := range credentials() {
		pieces = append(pieces, s)
	}
	slices.Sort(pieces)
	rapid.Check(t, func(t *rapid.T) {
		text := strings.Join(rapid.SliceOfN(rapid.SampledFrom(pieces), 0, 12).Draw(t, "pieces"), "")
		found := Find([]byte(text))
		for i, f := range found {
			if f.Start < 0 || f.Start >= f.End || f.End > len(text) || i > 0 && f.Start < found[i-1].End {
				t.Fatalf("%q: %+v", text, found)
			}
		}
		once, _ := Redact(text)
		if twice, n := Redact(once); n > 0 {
			t.Fatalf("%q\nonce  %q\ntwice %q", text, once, twice)
		}
	})
}

// TestHostileTexts are made to cost the search as much as possible.
func TestHostileTexts(t *testing.T) {
	for _, piece := range []string{"sk-", "-eyJ", "://", "://a:", "-----BEGIN ", "-----BEGIN PRIVATE KEY-----", "password=", "password", ":AA", "1:AA", "8Q~",
		"xoxb-", "bearer ", "hooks.slack.com/services/", "a", "AKIA", ".atlasv1.", "SG.", "_token='", "chpasswd", "|a:chpasswd", "--token ", "login a password ", "-u ", "-u a:", ":5432:", ":5432:a:b:", "<password>", "?sig=",
		"sshpass -p ", "aaaaaaaaaaaaaaaaaaaaaaaaaa.aaaaaa.", "pat00000000000000.0", "://a1b2c3d4e5f6g7h8i9j0@a/1", "pass=", "a.", "token", "twitter=",
		"ldapadd -w ", "mysql -p ", "_pass=", "snyk.oauth_token=", "xoxe.xoxb-\u200b", "kind: secret\ndata:\n", "${token:-", "token\nvalue:", "a\u200b"} {
		text := []byte(strings.Repeat(piece, 1<<20/len(piece)))
		start := time.Now()
		Find(text)
		t.Logf("%q: %v for 64 KB", piece, time.Since(start)/16)
		if d := time.Since(start); d > 20*time.Second { // what grows with the square takes minutes
			t.Errorf("1 MiB of %q takes %v", piece, d)
		}
	}
}

// TestSuspectMissesNothing compares the one pass over normalised text with the search that it stands for.
func TestSuspectMissesNothing(t *testing.T) {
	for name, secret := range credentials() {
		for _, text := range []string{secret, "é" + secret, "  " + secret + "\t", "x\u00ad " + secret} {
			if len(Find([]byte(text))) > 0 && !Suspect(words.Normalise(nil, text)) {
				t.Errorf("%s: found in %q, but not suspected", name, text)
			}
		}
	}
}

func BenchmarkSuspect(b *testing.B) {
	text := []byte(strings.Repeat("the quick brown fox jumps over the lazy dog and writes a report. ", 16)[:1024])
	b.SetBytes(1024)
	for b.Loop() {
		Suspect(text)
	}
}
