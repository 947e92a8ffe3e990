package mcp

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"sync"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// lines is the stdio transport of MCP: one JSON-RPC message per line. That of the SDK ends the session at the first line that
// it cannot read, and drops the calls that are under way when its input ends. Here such a line gets an error for an answer,
// and the end of the input is passed on when all calls have theirs, so that a pipeline of calls is answered whole.
type lines struct {
	out io.Writer

	incoming chan []byte // a line, nil for one that is too long; closed at the end of the input
	readErr  error       // why it ended, nil at the end of the file; set before incoming is closed

	mu    sync.Mutex          // guards what follows, and writing
	open  map[jsonrpc.ID]bool // calls without an answer
	ended bool                // nothing more comes
	idle  chan struct{}

	once   sync.Once
	closed chan struct{}
}

func newLines(in io.Reader, out io.Writer) *lines {
	l := &lines{out: out, incoming: make(chan []byte), open: map[jsonrpc.ID]bool{}, idle: make(chan struct{}), closed: make(chan struct{})}
	go l.read(bufio.NewReaderSize(in, 64<<10))
	return l
}

// Connect makes it a transport of the SDK for one session.
func (l *lines) Connect(context.Context) (mcp.Connection, error) { return l, nil }

// SessionID is empty: stdin and stdout are the session.
func (l *lines) SessionID() string { return "" }

// read takes lines from the input until it ends or the connection is closed. It may hang in the input of a process that ends.
func (l *lines) read(r *bufio.Reader) {
	defer close(l.incoming)
	for {
		line, err := readLine(r)
		if line == nil || len(bytes.TrimSpace(line)) > 0 {
			select {
			case l.incoming <- line:
			case <-l.closed:
				return
			}
		}
		if err != nil {
			if !errors.Is(err, io.EOF) {
				l.readErr = err
			}
			return
		}
	}
}

// readLine reads a line with its end, and returns nil for one that is longer than maxMessage, which it reads to its end.
func readLine(r *bufio.Reader) ([]byte, error) {
	line, long := []byte{}, false
	for {
		part, err := r.ReadSlice('\n')
		if long = long || len(line)+len(part) > maxMessage; !long {
			line = append(line, part...)
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if long {
			line = nil
		}
		return line, err
	}
}

// Read returns the next message. At the end of the input it waits until every call is answered.
func (l *lines) Read(ctx context.Context) (jsonrpc.Message, error) {
	for {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-l.closed:
			return nil, io.EOF
		case line, ok := <-l.incoming:
			if !ok {
				return nil, l.end(ctx)
			}
			msg, problem := decode(line)
			if call, ok := msg.(*jsonrpc.Request); ok && call.IsCall() && !l.begin(call.ID) {
				problem = refusal(jsonrpc.CodeInvalidRequest, "the id is that of another call, which has no answer yet; take one that is new")
			}
			if problem == nil {
				return msg, nil
			}
			if err := l.write(problem, jsonrpc.ID{}); err != nil {
				return nil, err
			}
		}
	}
}

// begin notes a call. It reports false where another one has its id: of two such the SDK answers one.
func (l *lines) begin(id jsonrpc.ID) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open[id] {
		return false
	}
	l.open[id] = true
	return true
}

// end waits for the last answer.
func (l *lines) end(ctx context.Context) error {
	l.mu.Lock()
	l.ended = true
	wait := len(l.open) > 0
	l.mu.Unlock()
	if wait {
		select {
		case <-l.idle:
		case <-ctx.Done():
		case <-l.closed:
		}
	}
	if l.readErr != nil {
		return l.readErr
	}
	return io.EOF
}

// Write sends a message as one line.
func (l *lines) Write(_ context.Context, msg jsonrpc.Message) error {
	data, err := jsonrpc.EncodeMessage(msg)
	if err != nil {
		return err
	}
	var answered jsonrpc.ID
	if answer, ok := msg.(*jsonrpc.Response); ok {
		answered = answer.ID
	}
	return l.write(data, answered)
}

// write sends a line, which answers the call of that id, or none.
func (l *lines) write(data []byte, answered jsonrpc.ID) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, err := l.out.Write(append(bytes.Clone(data), '\n'))
	if l.open[answered] {
		if delete(l.open, answered); l.ended && len(l.open) == 0 {
			close(l.idle)
		}
	}
	return err
}

// Close ends the connection.
func (l *lines) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

// decode reads a message, or returns the answer that a line gets which is none.
func decode(line []byte) (msg jsonrpc.Message, problem []byte) {
	if line == nil {
		return nil, refusal(jsonrpc.CodeInvalidRequest, "the message is longer than 16 MiB")
	}
	if !json.Valid(line) {
		return nil, refusal(jsonrpc.CodeParseError, "the line is not JSON; a message is one line")
	}
	if bytes.TrimSpace(line)[0] == '[' {
		return nil, refusal(jsonrpc.CodeInvalidRequest, "batches of messages are not supported; send one per line")
	}
	msg, err := jsonrpc.DecodeMessage(line)
	if err != nil {
		return nil, refusal(jsonrpc.CodeInvalidRequest, "the line is no JSON-RPC 2.0 message")
	}
	return msg, nil
}

// refusal is the answer to a message of which the id is not known.
func refusal(code int64, text string) []byte {
	data, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": nil, "error": map[string]any{"code": code, "message": text}})
	if err != nil {
		panic(err) // strings and a number
	}
	return data
}
