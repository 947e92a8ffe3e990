package mcp

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/sheratan/sheratan/pipeline"
	"github.com/sheratan/sheratan/schemas"
)

// addTools registers what an agent can do.
func (s *server) addTools(srv *mcp.Server) error {
	proposal, err := proposalSchema()
	if err != nil {
		return err
	}
	srv.AddTool(&mcp.Tool{
		Name: "propose", Title: "Propose a job", InputSchema: proposal,
		Description: "Puts a job proposal into the inbox and answers what the gates said: status pending or running (allowed), quarantined (refused, or an " +
			"operator or second opinion has to decide; reasons say why and suggestions what to change), or inbox (not judged yet). Example: " +
			`{"payload": {"kind": "exec", "params": {"argv": ["go", "vet", "./..."]}}}`,
		Annotations: &mcp.ToolAnnotations{DestructiveHint: yes(true), OpenWorldHint: yes(true)},
	}, func(ctx context.Context, req *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		out, err := s.propose(ctx, req.Params.Arguments)
		return s.answer(out, err)
	})
	add(s, srv, "wait", "Wait for a job", "Waits until a job that you proposed is over or blocked, and answers as propose does, with exit_code and the "+
		"beginning of the output when it has run. When the time is over first, done is false and waits_for says what it waits for.", s.wait)
	add(s, srv, "result", "Read a result", "Reads the result of a job that you proposed: how it ended, the beginning of its output, and the artifacts it left. With "+
		"part it reads the output or an artifact, up to 65536 bytes from offset.", s.result)
	add(s, srv, "why", "Tell the story of a job", "Tells the whole story of a job that you proposed: who proposed it, what each gate and each auditor said, who allowed "+
		"it, what it waits for, every attempt, with the numbers of the events in the ledger that prove it.", s.why)
	add(s, srv, "list_kinds", "List kinds of jobs", "Lists the kinds of jobs that may be proposed here, with the JSON Schema of their parameters, and the programs "+
		"that jobs of the kind exec may start.", s.listKinds)
	add(s, srv, "list_missions", "List missions", "Lists the missions that you proposed, the newest last, with how far they have come.", s.listMissions)
	add(s, srv, "show_mission", "Show a mission", "Shows a mission that you proposed, with each of its tasks.", s.showMission)
	return nil
}

// add registers a tool that changes nothing.
func add[In any](s *server, srv *mcp.Server, name, title, text string, call func(context.Context, In) (any, error)) {
	t := &mcp.Tool{Name: name, Title: title, Description: text, Annotations: &mcp.ToolAnnotations{ReadOnlyHint: true, OpenWorldHint: yes(false)}}
	mcp.AddTool(srv, t, func(ctx context.Context, _ *mcp.CallToolRequest, in In) (*mcp.CallToolResult, any, error) {
		out, err := call(ctx, in)
		res, err := s.answer(out, err)
		if err != nil {
			return nil, nil, err
		}
		return res, res.StructuredContent, nil
	})
}

func yes(b bool) *bool { return &b }

// answer is what the agent gets: the value as JSON without credentials, as text and structured, or the error as a text that a
// model can act on. Only the end of the session is an error of the protocol.
func (s *server) answer(v any, err error) (*mcp.CallToolResult, error) {
	if err == nil {
		var text []byte
		if text, err = s.clean(v); err == nil {
			return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: string(text)}}, StructuredContent: json.RawMessage(text)}, nil
		}
	}
	if errors.Is(err, context.Canceled) {
		return nil, err
	}
	text, _ := s.secret.Load().Redact(told(err))
	return &mcp.CallToolResult{IsError: true, Content: []mcp.Content{&mcp.TextContent{Text: text}}}, nil
}

// clean marshals v, and takes the credentials out of all of it: what goes from here goes into a prompt.
func (s *server) clean(v any) ([]byte, error) {
	data, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	tree, err := schemas.Parse(data, schemas.Limits{Bytes: len(data) + 1, Depth: schemas.DefaultLimits.Depth * 2})
	if err != nil {
		return nil, err
	}
	redacted, n := s.secret.Load().RedactTree(tree)
	if n == 0 {
		return data, nil
	}
	return schemas.Marshal(redacted)
}

// told is an error with the way out, for a reader who has these tools and no command line.
func told(err error) string {
	var (
		unknown *pipeline.UnknownJobError
		input   *pipeline.InputError
		parse   *schemas.ParseError
	)
	switch {
	case errors.As(err, &unknown):
		return fmt.Sprintf("%s: you have proposed no such job; job_id is in what propose answered", unknown.ID)
	case errors.As(err, &parse):
		return fmt.Sprintf("the proposal: %v", parse)
	case errors.As(err, &input):
		in := *input
		if in.File == draftName {
			in.File = "the proposal"
		}
		return strings.Replace(err.Error(), input.Error(), in.Error(), 1)
	}
	return err.Error()
}

// way adds to an error what the agent can do about it, where it is of the kind that is mended by that.
func way(err error, text string) error {
	var input *pipeline.InputError
	if errors.As(err, &input) {
		return fmt.Errorf("%w; %s", err, text)
	}
	return err
}

// notForAgents are the members of a proposal that are the server's to say, or that nothing would be said with.
var notForAgents = []string{"source", "$schema"}

// proposalSchema is the schema of a proposal without those members.
func proposalSchema() (json.RawMessage, error) {
	text, ok := schemas.Source("proposal")
	if !ok {
		return nil, errors.New("there is no proposal schema")
	}
	var doc map[string]any
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	if err := dec.Decode(&doc); err != nil {
		return nil, err
	}
	for _, name := range []string{"$schema", "$id", "title"} {
		delete(doc, name)
	}
	properties, ok := doc["properties"].(map[string]any)
	if !ok {
		return nil, errors.New("the proposal schema has no properties")
	}
	for _, name := range notForAgents {
		delete(properties, name)
	}
	return json.Marshal(doc)
}
