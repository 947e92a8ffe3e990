package relay

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
)

// Backend is how a model is reached.
type Backend string

// Backends.
const (
	BackendOpenAI    Backend = "openai"    // chat completions, which many servers speak
	BackendAnthropic Backend = "anthropic" // messages
	BackendGemini    Backend = "gemini"    // generateContent
	BackendCommand   Backend = "command"   // a program: the request on stdin, the answer on stdout
	BackendReplay    Backend = "replay"    // a recording, for tests
)

// Config is the object "relay" of the config.
type Config struct {
	Models map[string]Model `json:"models"`
	Record string           `json:"record"` // file to which conversations are added, relative to the workspace; "" is none
}

// Model is one model. Limits of 0 are none, but for the deadline.
type Model struct {
	Backend    Backend        `json:"backend"`
	URL        string         `json:"url"`        // base, to which the path of the dialect is added
	Model      string         `json:"model"`      // as the server calls it
	KeyEnv     string         `json:"key_env"`    // variable that holds the key
	KeyFile    string         `json:"key_file"`   // or a file, absolute, that only its owner can read
	Command    []string       `json:"command"`    // of a command model; an absolute path and arguments
	Env        []string       `json:"env"`        // names of variables that the program is given
	File       string         `json:"file"`       // of a replay model, absolute or relative to the workspace
	Parameters map[string]any `json:"parameters"` // added to the body of each request, such as temperature
	MaxTokens  int            `json:"max_tokens"` // of an answer

	TimeoutSeconds int `json:"timeout_seconds"` // of a call, with all its attempts
	RequestBytes   int `json:"request_bytes"`
	AnswerBytes    int `json:"answer_bytes"`

	CallsPerHour  int `json:"calls_per_hour"`
	CallsPerDay   int `json:"calls_per_day"`
	TokensPerHour int `json:"tokens_per_hour"`
	TokensPerDay  int `json:"tokens_per_day"`
}

// DefaultModel is what holds where the config says nothing.
func DefaultModel() Model {
	return Model{
		MaxTokens: 4096, TimeoutSeconds: 60, RequestBytes: 1 << 20, AnswerBytes: 1 << 20,
		CallsPerHour: 120, CallsPerDay: 1000,
		Command: []string{}, Env: []string{}, Parameters: map[string]any{},
	}
}

// UnmarshalJSON fills in the defaults of each model.
func (c *Config) UnmarshalJSON(text []byte) error {
	var raw struct {
		Models map[string]json.RawMessage `json:"models"`
		Record string                     `json:"record"`
	}
	if err := json.Unmarshal(text, &raw); err != nil {
		return err
	}
	*c = Config{Models: map[string]Model{}, Record: raw.Record}
	for name, text := range raw.Models {
		m := DefaultModel()
		if err := json.Unmarshal(text, &m); err != nil {
			return fmt.Errorf("/relay/models/%s: %w", name, err)
		}
		c.Models[name] = m
	}
	return nil
}

var (
	nameForm     = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`) })
	variableForm = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`) })
)

// ours are members of a request body that parameters must not replace.
var ours = []string{"model", "messages", "system", "contents", "systemInstruction", "stream", "n", "tools", "candidateCount"}

// Check returns what is wrong with the config, each with a JSON Pointer in front, relative to the config.
func (c Config) Check() error {
	var faults []error
	for _, name := range slices.Sorted(maps.Keys(c.Models)) {
		at := "/relay/models/" + name
		if !nameForm().MatchString(name) {
			faults = append(faults, fmt.Errorf("%s: %q is not the name of a model: letters, digits, and . _ -", at, name))
			continue
		}
		for _, fault := range c.Models[name].check() {
			faults = append(faults, fmt.Errorf("%s%s", at, fault))
		}
	}
	return errors.Join(faults...)
}

// check returns faults as "/member: what is wrong".
func (m Model) check() (faults []string) {
	complain := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	switch m.Backend {
	case BackendOpenAI, BackendAnthropic, BackendGemini:
		if err := checkURL(m.URL); err != nil {
			complain("/url: %v", err)
		}
		if m.Model == "" {
			complain("/model: is missing: the server's name of the model")
		}
	case BackendCommand:
		if len(m.Command) == 0 || !filepath.IsAbs(m.Command[0]) {
			complain("/command: must begin with the absolute path of a program")
		}
	case BackendReplay:
		if m.File == "" {
			complain("/file: is missing: a recording")
		}
	default:
		complain("/backend: %q is none of openai, anthropic, gemini, command, replay", m.Backend)
	}
	if m.KeyEnv != "" && m.KeyFile != "" {
		complain("/key_file: there is a key_env too; one of them is enough")
	}
	if m.KeyEnv != "" && !variableForm().MatchString(m.KeyEnv) {
		complain("/key_env: must be the name of a variable, never the key itself")
	}
	if m.KeyFile != "" && !filepath.IsAbs(m.KeyFile) {
		complain("/key_file: must be an absolute path, never the key itself")
	}
	for i, name := range m.Env {
		if !variableForm().MatchString(name) {
			complain("/env/%d: must be the name of a variable", i)
		}
	}
	for _, name := range ours {
		if _, ok := m.Parameters[name]; ok {
			complain("/parameters/%s: is not for the config to set", name)
		}
	}
	if m.TimeoutSeconds <= 0 {
		complain("/timeout_seconds: must be at least 1")
	}
	return faults
}

// checkURL allows what cannot be read on the way: HTTPS, or HTTP to this machine.
func checkURL(text string) error {
	u, err := url.Parse(text)
	switch {
	case text == "":
		return errors.New("is missing")
	case err != nil || u.Host == "":
		return errors.New("is not a URL such as https://api.example.com/v1")
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return errors.New("must have neither a user, a query nor a fragment")
	case u.Scheme == "https":
		return nil
	case u.Scheme != "http":
		return fmt.Errorf("the scheme is %q, and should be https", u.Scheme)
	}
	host := u.Hostname()
	if ip := net.ParseIP(host); host == "localhost" || ip != nil && ip.IsLoopback() {
		return nil
	}
	return errors.New("http is for this machine only; use https")
}

// key reads the key of the model, "" where it needs none.
func (m Model) key(getenv func(string) string) (string, error) {
	var key, from string
	switch {
	case m.KeyEnv != "":
		if key, from = getenv(m.KeyEnv), "$"+m.KeyEnv; key == "" {
			return "", fmt.Errorf("%s: is not set; it should hold the key", from)
		}
	case m.KeyFile != "":
		text, err := readPrivate(m.KeyFile)
		if err != nil {
			return "", err
		}
		if key, from = strings.TrimSpace(text), m.KeyFile; key == "" {
			return "", fmt.Errorf("%s: is empty; it should hold the key", from)
		}
	default:
		return "", nil
	}
	for _, c := range key {
		if c <= ' ' || c > '~' {
			return "", fmt.Errorf("%s: holds something else than one key", from)
		}
	}
	return key, nil
}

// Keys returns the keys of the models, as far as they can be had.
func (c Config) Keys(getenv func(string) string) []string {
	if getenv == nil {
		getenv = func(string) string { return "" }
	}
	var list []string
	for _, m := range c.Models {
		if key, err := m.key(getenv); err == nil && key != "" {
			list = append(list, key)
		}
	}
	return list
}

// maxKey bounds a file with a key, in bytes.
const maxKey = 16 << 10

// readPrivate reads a small file that nobody but its owner, who is this user or root, can read.
func readPrivate(path string) (string, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return "", err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	if !info.Mode().IsRegular() || info.Size() > maxKey {
		return "", fmt.Errorf("%s: is not a small regular file", path)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return "", fmt.Errorf("%s: others can read it; chmod 600 %s", path, path)
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok && st.Uid != 0 && int(st.Uid) != os.Getuid() {
		return "", fmt.Errorf("%s: belongs to another user", path)
	}
	buf := make([]byte, maxKey)
	n, err := f.Read(buf)
	if n == 0 && err != nil && info.Size() > 0 {
		return "", err
	}
	return string(buf[:n]), nil
}
