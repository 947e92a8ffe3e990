package mcp

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// drain reads messages until the input ends, and returns how many there were and what was answered by the transport itself.
func drain(t interface{ Fatal(...any) }, input string) (messages int, answers []string) {
	var out bytes.Buffer
	l := newLines(strings.NewReader(input), &out)
	for {
		_, err := l.Read(context.Background())
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		messages++
	}
	text := strings.TrimSuffix(out.String(), "\n")
	if text == "" {
		return messages, nil
	}
	return messages, strings.Split(text, "\n")
}

const notice = `{"jsonrpc":"2.0","method":"notifications/initialized"}` + "\n"

// TestLongMessage: what is too long is answered and read past.
func TestLongMessage(t *testing.T) {
	t.Parallel()
	long := `{"jsonrpc":"2.0","method":"` + strings.Repeat("x", maxMessage) + `"}` + "\n"
	messages, answers := drain(t, notice+long+notice)
	if messages != 2 || len(answers) != 1 || !strings.Contains(answers[0], "longer than 16 MiB") {
		t.Errorf("%d messages, %.300q", messages, answers)
	}
	if messages, answers = drain(t, notice+strings.TrimSuffix(notice, "\n")); messages != 2 || answers != nil {
		t.Errorf("without a newline at the end: %d messages, %q", messages, answers)
	}
}

// TestAnyLine: each line that is not empty is a message or gets an answer, whatever it is.
func TestAnyLine(t *testing.T) {
	t.Parallel()
	piece := rapid.OneOf(rapid.StringOf(rapid.RuneFrom([]rune("{}[]\":,0a\x00\u2028\ufffd\\"))), rapid.SampledFrom([]string{
		strings.TrimSpace(notice), `{"jsonrpc":"2.0","id":1,"method":"ping"`, "null", "[]", `{"jsonrpc":"1.0","id":{},"method":3}`, `{"jsonrpc":"2.0","id":1}`, "\xff\xfe",
		strings.Repeat("[", 20000), `{"jsonrpc":"2.0","method":"x","method":"y"}`,
	}))
	rapid.Check(t, func(t *rapid.T) {
		lines := rapid.SliceOfN(piece, 0, 8).Draw(t, "lines")
		want := 0
		for _, line := range lines {
			if strings.TrimSpace(line) != "" {
				want++
			}
		}
		messages, answers := drain(t, strings.Join(lines, "\n"))
		if messages+len(answers) != want {
			t.Fatalf("%d messages and %d answers for %d lines", messages, len(answers), want)
		}
		for _, a := range answers {
			if !json.Valid([]byte(a)) || strings.Contains(a, "ping") {
				t.Fatalf("answer %q", a)
			}
		}
	})
}
