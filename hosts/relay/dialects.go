package relay

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"
)

// dialect is how a family of servers wants to be asked, and how it answers.
type dialect struct {
	path      func(Model) string
	authorize func(http.Header, string)
	body      func(Model, Request) map[string]any
	answer    func([]byte) (Answer, error)
}

var dialects = map[Backend]dialect{
	// https://platform.openai.com/docs/api-reference/chat
	BackendOpenAI: {
		path:      func(Model) string { return "/chat/completions" },
		authorize: func(h http.Header, key string) { h.Set("Authorization", "Bearer "+key) },
		body:      openAIBody,
		answer:    openAIAnswer,
	},
	// https://docs.anthropic.com/en/api/messages
	BackendAnthropic: {
		path: func(Model) string { return "/v1/messages" },
		authorize: func(h http.Header, key string) {
			h.Set("X-Api-Key", key)
			h.Set("Anthropic-Version", "2023-06-01")
		},
		body:   anthropicBody,
		answer: anthropicAnswer,
	},
	// https://ai.google.dev/api/generate-content
	BackendGemini: {
		path:      func(m Model) string { return "/v1beta/models/" + url.PathEscape(m.Model) + ":generateContent" },
		authorize: func(h http.Header, key string) { h.Set("X-Goog-Api-Key", key) },
		body:      geminiBody,
		answer:    geminiAnswer,
	},
}

func openAIBody(m Model, r Request) map[string]any {
	var messages []any
	if r.System != "" {
		messages = append(messages, map[string]any{"role": "system", "content": r.System})
	}
	body := map[string]any{
		"model":    m.Model,
		"messages": append(messages, map[string]any{"role": "user", "content": r.Prompt}),
	}
	limitTokens(body, "max_tokens", m.MaxTokens)
	if r.Schema != nil {
		body["response_format"] = map[string]any{
			"type": "json_schema", "json_schema": map[string]any{"name": "answer", "strict": true, "schema": r.Schema},
		}
	}
	return body
}

func limitTokens(body map[string]any, name string, n int) {
	if n > 0 {
		body[name] = n
	}
}

func openAIAnswer(text []byte) (Answer, error) {
	var reply struct {
		Choices []struct {
			Message struct {
				Content   *string           `json:"content"`
				Refusal   *string           `json:"refusal"`
				ToolCalls []json.RawMessage `json:"tool_calls"`
			} `json:"message"`
			FinishReason string `json:"finish_reason"`
		} `json:"choices"`
		Usage struct {
			In  int `json:"prompt_tokens"`
			Out int `json:"completion_tokens"`
		} `json:"usage"`
	}
	if err := decode(text, &reply); err != nil {
		return Answer{}, err
	}
	if len(reply.Choices) != 1 {
		return Answer{}, fmt.Errorf("the reply has %d choices, not one", len(reply.Choices))
	}
	c := reply.Choices[0]
	a := Answer{TokensIn: reply.Usage.In, TokensOut: reply.Usage.Out}
	a.Finish = finish(c.FinishReason, map[string]Finish{
		"stop": FinishStop, "length": FinishLength, "content_filter": FinishRefuse,
	})
	if c.Message.Refusal != nil && *c.Message.Refusal != "" {
		a.Finish, a.Text = FinishRefuse, *c.Message.Refusal
		return checked(a)
	}
	if len(c.Message.ToolCalls) > 0 {
		a.Finish = FinishOther
	}
	if c.Message.Content != nil {
		a.Text = *c.Message.Content
	} else if a.Finish == FinishStop {
		return Answer{}, errors.New("the reply has no content")
	}
	return checked(a)
}

func anthropicBody(m Model, r Request) map[string]any {
	body := map[string]any{
		"model":    m.Model,
		"messages": []any{map[string]any{"role": "user", "content": r.Prompt}},
	}
	if r.System != "" {
		body["system"] = r.System
	}
	limitTokens(body, "max_tokens", m.MaxTokens)
	return body
}

func anthropicAnswer(text []byte) (Answer, error) {
	var reply struct {
		Content []struct {
			Type string `json:"type"`
			Text string `json:"text"`
		} `json:"content"`
		StopReason string `json:"stop_reason"`
		Usage      struct {
			In  int `json:"input_tokens"`
			Out int `json:"output_tokens"`
		} `json:"usage"`
	}
	if err := decode(text, &reply); err != nil {
		return Answer{}, err
	}
	a := Answer{TokensIn: reply.Usage.In, TokensOut: reply.Usage.Out}
	a.Finish = finish(reply.StopReason, map[string]Finish{
		"end_turn": FinishStop, "max_tokens": FinishLength, "model_context_window_exceeded": FinishLength, "refusal": FinishRefuse,
	})
	var said []string
	for _, block := range reply.Content {
		switch block.Type {
		case "text":
			said = append(said, block.Text)
		case "thinking", "redacted_thinking":
		default:
			a.Finish = FinishOther
		}
	}
	if len(said) == 0 && a.Finish == FinishStop {
		return Answer{}, errors.New("the reply has no text")
	}
	a.Text = strings.Join(said, "")
	return checked(a)
}

func geminiBody(m Model, r Request) map[string]any {
	generation := map[string]any{}
	limitTokens(generation, "maxOutputTokens", m.MaxTokens)
	if r.Schema != nil {
		generation["responseMimeType"] = "application/json"
	}
	body := map[string]any{
		"contents":         []any{map[string]any{"role": "user", "parts": []any{map[string]any{"text": r.Prompt}}}},
		"generationConfig": generation,
	}
	if r.System != "" {
		body["systemInstruction"] = map[string]any{"parts": []any{map[string]any{"text": r.System}}}
	}
	return body
}

func geminiAnswer(text []byte) (Answer, error) {
	var reply struct {
		Candidates []struct {
			Content struct {
				Parts []struct {
					Text    *string `json:"text"`
					Thought bool    `json:"thought"`
				} `json:"parts"`
			} `json:"content"`
			FinishReason string `json:"finishReason"`
		} `json:"candidates"`
		PromptFeedback struct {
			BlockReason string `json:"blockReason"`
		} `json:"promptFeedback"`
		Usage struct {
			In       int `json:"promptTokenCount"`
			Out      int `json:"candidatesTokenCount"`
			Thoughts int `json:"thoughtsTokenCount"`
		} `json:"usageMetadata"`
	}
	if err := decode(text, &reply); err != nil {
		return Answer{}, err
	}
	a := Answer{TokensIn: reply.Usage.In, TokensOut: reply.Usage.Out + reply.Usage.Thoughts}
	if reason := reply.PromptFeedback.BlockReason; reason != "" {
		a.Finish = FinishRefuse
		return a, nil
	}
	if len(reply.Candidates) != 1 {
		return Answer{}, fmt.Errorf("the reply has %d candidates, not one", len(reply.Candidates))
	}
	c := reply.Candidates[0]
	a.Finish = finish(c.FinishReason, map[string]Finish{
		"STOP": FinishStop, "MAX_TOKENS": FinishLength, "SAFETY": FinishRefuse, "RECITATION": FinishRefuse,
		"BLOCKLIST": FinishRefuse, "PROHIBITED_CONTENT": FinishRefuse, "SPII": FinishRefuse,
	})
	said := 0
	for _, part := range c.Content.Parts {
		switch {
		case part.Thought:
		case part.Text == nil:
			a.Finish = FinishOther
		default:
			a.Text += *part.Text
			said++
		}
	}
	if said == 0 && a.Finish == FinishStop {
		return Answer{}, errors.New("the reply has no text")
	}
	return checked(a)
}

func finish(reason string, known map[string]Finish) Finish {
	if f, ok := known[reason]; ok {
		return f
	}
	return FinishOther
}

func decode(text []byte, reply any) error {
	if err := json.Unmarshal(text, reply); err != nil {
		return fmt.Errorf("the reply is not what it should be: %w: %s", err, quote(text))
	}
	return nil
}

// checked refuses what JSON decoding has quietly mended, and counts of tokens that make no sense.
func checked(a Answer) (Answer, error) {
	if !utf8.ValidString(a.Text) || strings.ContainsRune(a.Text, utf8.RuneError) {
		return Answer{}, errors.New("the reply has text that is not valid UTF-8")
	}
	if a.TokensIn < 0 || a.TokensOut < 0 {
		return Answer{}, errors.New("the reply has a negative number of tokens")
	}
	return a, nil
}
