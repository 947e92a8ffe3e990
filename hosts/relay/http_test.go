package relay_test

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sheratan/sheratan/hosts/relay"
)

// TestDialects asks each kind of server, and looks at what it was sent.
func TestDialects(t *testing.T) {
	t.Parallel()
	schema := map[string]any{"type": "object"}
	for _, c := range []struct {
		backend      relay.Backend
		reply        string
		path, header string
		body         string
	}{
		{relay.BackendOpenAI, openAIHello, "/chat/completions", "Authorization: Bearer sesame",
			`{"max_tokens":4096,"messages":[{"content":"be brief","role":"system"},{"content":"greet","role":"user"}],"model":"test-model",` +
				`"response_format":{"json_schema":{"name":"answer","schema":{"type":"object"},"strict":true},"type":"json_schema"},"temperature":0}`},
		{relay.BackendAnthropic, `{"content":[{"type":"thinking","thinking":"x"},{"type":"text","text":"hello"}],"stop_reason":"end_turn","usage":{"input_tokens":7,"output_tokens":2}}`,
			"/v1/messages", "X-Api-Key: sesame",
			`{"max_tokens":4096,"messages":[{"content":"greet","role":"user"}],"model":"test-model","system":"be brief","temperature":0}`},
		{relay.BackendGemini, `{"candidates":[{"content":{"parts":[{"text":"hm","thought":true},{"text":"hel"},{"text":"lo"}]},"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":7,"candidatesTokenCount":2}}`,
			"/v1beta/models/test-model:generateContent", "X-Goog-Api-Key: sesame",
			`{"contents":[{"parts":[{"text":"greet"}],"role":"user"}],"generationConfig":{"maxOutputTokens":4096,"responseMimeType":"application/json"},` +
				`"systemInstruction":{"parts":[{"text":"be brief"}]},"temperature":0}`},
	} {
		s := serve(t, text(200, c.reply))
		m := model(s.URL)
		m.Backend, m.KeyEnv, m.Parameters = c.backend, "KEY", map[string]any{"temperature": 0}
		r := newRelay(t, relay.Options{Getenv: func(name string) string { return map[string]string{"KEY": "sesame"}[name] }},
			map[string]relay.Model{"m": m})
		got, err := r.AskOne(context.Background(), "m", relay.Request{System: "be brief", Prompt: "greet", Schema: schema})
		want := relay.Answer{Text: "hello", Finish: relay.FinishStop, Model: "m", TokensIn: 7, TokensOut: 2}
		if err != nil || got != want {
			t.Errorf("%s: %+v, %v", c.backend, got, err)
			continue
		}
		name, value, _ := strings.Cut(c.header, ": ")
		if s.paths[0] != c.path || s.heads[0].Get(name) != value {
			t.Errorf("%s: POST %s with %v", c.backend, s.paths[0], s.heads[0])
		}
		if body, _ := json.Marshal(s.bodies[0]); string(body) != c.body {
			t.Errorf("%s: sent\n%s\nwant\n%s", c.backend, body, c.body)
		}
	}
}

// TestFinish maps the reasons of the servers. Only an answer that ended by itself is FinishStop.
func TestFinish(t *testing.T) {
	t.Parallel()
	openAI := func(reason, message string) string {
		return `{"choices":[{"message":` + message + `,"finish_reason":` + reason + `}]}`
	}
	for _, c := range []struct {
		backend relay.Backend
		reply   string
		want    relay.Finish // "" is a Protocol error
	}{
		{relay.BackendOpenAI, openAI(`"stop"`, `{"content":"x"}`), relay.FinishStop},
		{relay.BackendOpenAI, openAI(`"length"`, `{"content":"x"}`), relay.FinishLength},
		{relay.BackendOpenAI, openAI(`"content_filter"`, `{"content":"x"}`), relay.FinishRefuse},
		{relay.BackendOpenAI, openAI(`"tool_calls"`, `{"content":null,"tool_calls":[{}]}`), relay.FinishOther},
		{relay.BackendOpenAI, openAI(`"stop"`, `{"content":"x","tool_calls":[{}]}`), relay.FinishOther},
		{relay.BackendOpenAI, openAI(`"stop"`, `{"content":"x","refusal":"no"}`), relay.FinishRefuse},
		{relay.BackendOpenAI, openAI(`null`, `{"content":"x"}`), relay.FinishOther},
		{relay.BackendOpenAI, openAI(`"STOP"`, `{"content":"x"}`), relay.FinishOther},
		{relay.BackendOpenAI, openAI(`"stop"`, `{"content":null}`), ""},
		{relay.BackendOpenAI, openAI(`"stop"`, `{"content":["x"]}`), ""},
		{relay.BackendOpenAI, `{"choices":[]}`, ""},
		{relay.BackendOpenAI, `{"choices":[{"message":{"content":"a"},"finish_reason":"stop"},{"message":{"content":"b"},"finish_reason":"stop"}]}`, ""},
		{relay.BackendOpenAI, `{"error":{"message":"overloaded"}}`, ""},
		{relay.BackendOpenAI, `<html>`, ""},
		{relay.BackendOpenAI, ``, ""},
		{relay.BackendOpenAI, openAIHello + openAIHello, ""},
		{relay.BackendOpenAI, "{\"choices\":[{\"message\":{\"content\":\"\xff\"},\"finish_reason\":\"stop\"}]}", ""},
		{relay.BackendAnthropic, `{"content":[{"type":"text","text":"x"}],"stop_reason":"max_tokens"}`, relay.FinishLength},
		{relay.BackendAnthropic, `{"content":[{"type":"text","text":"x"}],"stop_reason":"refusal"}`, relay.FinishRefuse},
		{relay.BackendAnthropic, `{"content":[{"type":"text","text":"x"},{"type":"tool_use"}],"stop_reason":"end_turn"}`, relay.FinishOther},
		{relay.BackendAnthropic, `{"content":[],"stop_reason":"end_turn"}`, ""},
		{relay.BackendAnthropic, `{"type":"error","error":{"type":"overloaded_error"}}`, relay.FinishOther},
		{relay.BackendGemini, `{"candidates":[{"content":{"parts":[{"text":"x"}]},"finishReason":"MAX_TOKENS"}]}`, relay.FinishLength},
		{relay.BackendGemini, `{"candidates":[{"content":{"parts":[{"text":"x"}]},"finishReason":"SAFETY"}]}`, relay.FinishRefuse},
		{relay.BackendGemini, `{"promptFeedback":{"blockReason":"OTHER"}}`, relay.FinishRefuse},
		{relay.BackendGemini, `{"candidates":[{"content":{"parts":[{"functionCall":{}}]},"finishReason":"STOP"}]}`, relay.FinishOther},
		{relay.BackendGemini, `{"candidates":[{"finishReason":"STOP"}]}`, ""},
		{relay.BackendGemini, `[]`, ""},
	} {
		m := model(serve(t, text(200, c.reply)).URL)
		m.Backend = c.backend
		got, err := ask(newRelay(t, relay.Options{}, map[string]relay.Model{"m": m}), "m")
		if c.want == "" {
			wantKind(t, err, relay.Protocol)
		} else if err != nil || got.Finish != c.want {
			t.Errorf("%s %s: %+v, %v; want %s", c.backend, c.reply, got, err, c.want)
		}
	}
}

// TestAgain lets servers fail in all ways: what is repeated and what is not, and how it ends.
func TestAgain(t *testing.T) {
	t.Parallel()
	hello := text(200, openAIHello)
	var dead http.HandlerFunc = func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }
	for _, c := range []struct {
		name  string
		turns []http.HandlerFunc
		asked int
		want  relay.Kind // "" is an answer
	}{
		{"503, then 200", []http.HandlerFunc{text(503, "busy"), hello}, 2, ""},
		{"408, 500, 429, then 200", []http.HandlerFunc{text(408, ""), text(500, ""), text(429, ""), hello}, 4, ""},
		{"cut, then 200", []http.HandlerFunc{cut, hello}, 2, ""},
		{"closed, then 200", []http.HandlerFunc{dead, hello}, 2, ""},
		{"503 for ever", []http.HandlerFunc{text(503, "busy")}, 5, relay.Status},
		{"400", []http.HandlerFunc{text(400, "no"), hello}, 1, relay.Status},
		{"401", []http.HandlerFunc{text(401, "no"), hello}, 1, relay.Status},
		{"404", []http.HandlerFunc{text(404, "no"), hello}, 1, relay.Status},
		{"204", []http.HandlerFunc{text(204, ""), hello}, 1, relay.Status},
		{"a redirect", []http.HandlerFunc{text(307, "", "Location", "/elsewhere"), hello}, 1, relay.Status},
		{"malformed", []http.HandlerFunc{text(200, `{"choices":`), hello}, 1, relay.Protocol},
		{"oversize", []http.HandlerFunc{text(200, strings.Repeat("x", 3000)), hello}, 1, relay.Protocol},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, c.turns...)
			m := model(s.URL)
			m.AnswerBytes = 2000
			_, err := ask(newRelay(t, relay.Options{}, map[string]relay.Model{"m": m}), "m")
			if c.want != "" {
				wantKind(t, err, c.want)
			} else if err != nil {
				t.Error(err)
			}
			if n := s.asked(); n != c.asked {
				t.Errorf("asked %d times, want %d", n, c.asked)
			}
		})
	}
}

// TestRetryAfter waits as long as the server wants, unless that is longer than there is time.
func TestRetryAfter(t *testing.T) {
	t.Parallel()
	s := serve(t, text(429, "", "Retry-After", "2"), text(200, openAIHello))
	start := time.Now()
	if _, err := ask(newRelay(t, relay.Options{}, map[string]relay.Model{"m": model(s.URL)}), "m"); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(start); took < 2*time.Second {
		t.Errorf("asked again after %s, two seconds were demanded", took)
	}
	for _, after := range []string{"3600", time.Now().Add(time.Hour).UTC().Format(http.TimeFormat)} {
		s := serve(t, text(429, "later", "Retry-After", after), text(200, openAIHello))
		_, err := ask(newRelay(t, relay.Options{}, map[string]relay.Model{"m": model(s.URL)}), "m")
		if e := wantKind(t, err, relay.Status); e.Status != 429 || s.asked() != 1 {
			t.Errorf("Retry-After: %s: %v after %d requests", after, err, s.asked())
		}
	}
}

// TestDeadline ends a call that takes too long, and one whose caller gives up.
func TestDeadline(t *testing.T) {
	t.Parallel()
	hang := func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	m := model(serve(t, hang).URL)
	m.TimeoutSeconds = 1
	r := newRelay(t, relay.Options{}, map[string]relay.Model{"m": m})
	start := time.Now()
	_, err := ask(r, "m")
	if wantKind(t, err, relay.Timeout); time.Since(start) > 5*time.Second {
		t.Errorf("it took %s", time.Since(start))
	}
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	_, err = r.AskOne(ctx, "m", relay.Request{Prompt: "x"})
	wantKind(t, err, relay.Ended)
}

// TestKeyStaysHidden has a server send the key back in every way that it can.
func TestKeyStaysHidden(t *testing.T) {
	t.Parallel()
	const key = "sk-0123456789-secret"
	for _, turn := range []http.HandlerFunc{text(401, "bad key "+key), text(200, `{"choices":"`+key+`"}`), text(200, key)} {
		m := model(serve(t, turn).URL)
		m.KeyEnv = "KEY"
		_, err := ask(newRelay(t, relay.Options{Getenv: func(string) string { return key }}, map[string]relay.Model{"m": m}), "m")
		if err == nil || strings.Contains(err.Error(), key) {
			t.Errorf("%v", err)
		}
	}
}

func TestKeyFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(write("target", "k", 0o600), link); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ path, want string }{
		{write("good", "sesame\n", 0o600), ""},
		{write("open", "sesame", 0o640), "chmod 600"},
		{write("empty", "\n", 0o600), "is empty"},
		{write("two", "one\ntwo", 0o600), "something else"},
		{filepath.Join(dir, "none"), "no such file"},
		{link, "too many"},
		{dir, "not a small regular file"},
	} {
		s := serve(t, text(200, openAIHello))
		m := model(s.URL)
		m.KeyFile = c.path
		_, err := ask(newRelay(t, relay.Options{}, map[string]relay.Model{"m": m}), "m")
		if c.want == "" {
			if err != nil || s.heads[0].Get("Authorization") != "Bearer sesame" {
				t.Errorf("%s: %v", c.path, err)
			}
			continue
		}
		if e := wantKind(t, err, relay.Key); !strings.Contains(e.Error(), c.want) || s.asked() != 0 {
			t.Errorf("%s: %v, want %q; %d requests", c.path, err, c.want, s.asked())
		}
	}
}

// TestTimeoutNamesTheCause: where time ran out while an attempt was repeated, the error says what was wrong with those before.
func TestTimeoutNamesTheCause(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		turn http.HandlerFunc
		want string
	}{
		"refused": {text(503, "busy"), "no answer within 1 s; the attempt before: 503 Service Unavailable"},
		"cut":     {cut, "no answer within 1 s; the attempt before: "},
		"slow":    {func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, "no answer within 1 s"},
	} {
		m := model(serve(t, tt.turn).URL)
		m.TimeoutSeconds = 1
		_, err := ask(newRelay(t, relay.Options{}, map[string]relay.Model{"m": m}), "m")
		wantKind(t, err, relay.Timeout)
		if err == nil || !strings.Contains(err.Error(), tt.want) || name == "slow" && strings.Contains(err.Error(), "before") {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
	}
}
