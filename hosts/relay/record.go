package relay

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/sheratan/sheratan/runtime/durable"
	"github.com/sheratan/sheratan/schemas"
)

// SchemaConversation is the value of $schema in a line of a recording.
const SchemaConversation = "sheratan.conversation/v1"

// Conversation is one line of a recording: a question and its answer, without credentials.
type Conversation struct {
	Schema  string  `json:"$schema"`
	Model   string  `json:"model"`
	SHA256  string  `json:"request_sha256"` // of the canonical form of the request
	Request Request `json:"request"`
	Answer  Answer  `json:"answer"`
}

// maxRecording bounds a recording, in bytes; and maxLine one conversation of it.
const (
	maxRecording = 64 << 20
	maxLine      = 8 << 20
)

// scrub takes credentials out of a request.
func (r *Relay) scrub(req Request) (Request, string, error) {
	req.System, req.Prompt = r.opt.Redact(req.System), r.opt.Redact(req.Prompt)
	text, err := schemas.Marshal(req)
	if err != nil {
		return req, "", err
	}
	return req, schemas.Digest(text), nil
}

// record adds a conversation to the recording.
func (r *Relay) record(name string, req Request, answer Answer) error {
	if r.opt.Record == "" {
		return nil
	}
	req, digest, err := r.scrub(req)
	if err != nil {
		return err
	}
	answer.Text = r.opt.Redact(answer.Text)
	line, err := json.Marshal(Conversation{SchemaConversation, name, digest, req, answer})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	lock, err := durable.Lock(ctx, r.opt.Record+".lock")
	if err != nil {
		return err
	}
	defer lock.Unlock()
	f, err := os.OpenFile(r.opt.Record, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(append(line, '\n'))
	return errors.Join(err, f.Close())
}

// replay answers from a recording. The same question may have been asked twice, and answered in two ways: its answers come
// in their order, and then the last of them again.
func (r *Relay) replay(name string, m Model, req Request) (Answer, *Error) {
	_, digest, err := r.scrub(req)
	if err != nil {
		return Answer{}, &Error{name, Protocol, 0, err}
	}
	said, err := ReadRecording(m.File)
	if err != nil {
		return Answer{}, &Error{name, Protocol, 0, err}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	skip, last := r.replayed[name+" "+digest], (*Conversation)(nil)
	for i := range said {
		if said[i].SHA256 != digest {
			continue
		}
		last = &said[i]
		if skip--; skip < 0 {
			break
		}
	}
	if last == nil {
		return Answer{}, &Error{name, Protocol, 0, fmt.Errorf("%s: has no answer to the request %s", m.File, digest)}
	}
	r.replayed[name+" "+digest]++
	return last.Answer, nil
}

// ReadRecording reads the conversations of a recording.
func ReadRecording(path string) ([]Conversation, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxRecording {
		return nil, &fs.PathError{Op: "read", Path: path, Err: errors.New("is not a recording")}
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var list []Conversation
	lines := bufio.NewScanner(bytes.NewReader(text))
	lines.Buffer(nil, maxLine)
	for n := 1; lines.Scan(); n++ {
		var c Conversation
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil || c.Schema != SchemaConversation {
			return nil, fmt.Errorf("%s:%d: is not a conversation: %v", path, n, err)
		}
		list = append(list, c)
	}
	return list, lines.Err()
}
