package relay_test

import (
	"strings"
	"testing"

	"github.com/sheratan/sheratan/hosts/relay"
)

func TestCheck(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		edit func(*relay.Model)
		want string // "" is nothing wrong
	}{
		{"m", func(*relay.Model) {}, ""},
		{"m", func(m *relay.Model) { m.URL = "http://127.0.0.1:11434/v1" }, ""},
		{"m", func(m *relay.Model) { m.URL = "http://localhost:8080" }, ""},
		{"m", func(m *relay.Model) { m.URL = "http://[::1]:8080" }, ""},
		{"m", func(m *relay.Model) { m.URL = "" }, "/relay/models/m/url: is missing"},
		{"m", func(m *relay.Model) { m.URL = "http://models.example.com" }, "/url: http is for this machine only"},
		{"m", func(m *relay.Model) { m.URL = "http://127.0.0.1.example.com" }, "/url: http is for this machine only"},
		{"m", func(m *relay.Model) { m.URL = "http://localhost@example.com" }, "/url: must have neither a user"},
		{"m", func(m *relay.Model) { m.URL = "https://example.com/?key=x" }, "/url: must have neither a user"},
		{"m", func(m *relay.Model) { m.URL = "file:///etc/passwd" }, "/url: is not a URL"},
		{"m", func(m *relay.Model) { m.URL = "ftp://example.com" }, "/url: the scheme"},
		{"m", func(m *relay.Model) { m.Model = "" }, "/model: is missing"},
		{"m", func(m *relay.Model) { m.Backend = "OpenAI" }, "/backend: "},
		{"m", func(m *relay.Model) { m.KeyEnv = "sk-live-123" }, "/key_env: must be the name"},
		{"m", func(m *relay.Model) { m.KeyFile = "key" }, "/key_file: must be an absolute path"},
		{"m", func(m *relay.Model) { m.KeyEnv, m.KeyFile = "A", "/k" }, "/key_file: there is a key_env too"},
		{"m", func(m *relay.Model) { m.Parameters = map[string]any{"messages": 1} }, "/parameters/messages: "},
		{"m", func(m *relay.Model) { m.Parameters = map[string]any{"stream": true} }, "/parameters/stream: "},
		{"m", func(m *relay.Model) { m.TimeoutSeconds = 0 }, "/timeout_seconds: "},
		{"m", func(m *relay.Model) { m.Backend, m.Command = relay.BackendCommand, []string{"sh"} }, "/command: "},
		{"m", func(m *relay.Model) { m.Backend, m.Env = relay.BackendCommand, []string{"A=B"} }, "/env/0: "},
		{"m", func(m *relay.Model) { m.Backend = relay.BackendReplay }, "/file: "},
		{"a/b", func(*relay.Model) {}, "is not the name of a model"},
	} {
		m := model("https://models.example.com/v1")
		c.edit(&m)
		err := relay.Config{Models: map[string]relay.Model{c.name: m}}.Check()
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%+v: %v, want %q", m, err, c.want)
		}
	}
}
