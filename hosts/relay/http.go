package relay

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/go-cleanhttp"
	"github.com/hashicorp/go-retryablehttp"
)

// Attempts of a call, and the waits between them where the server names none.
const (
	maxRetries = 4
	firstWait  = 500 * time.Millisecond
	longWait   = 8 * time.Second
)

// quoted is how much of what a server says goes into an error, in bytes.
const quoted = 300

func newTransport() *http.Transport {
	t := cleanhttp.DefaultPooledTransport()
	t.ForceAttemptHTTP2 = true
	t.MaxResponseHeaderBytes = 64 << 10
	return t
}

// errOversize says that a server sends more than allowed.
var errOversize = errors.New("the answer is larger than allowed")

// wholeBody is a transport that returns a response when all of its body is there. A connection that is cut in the middle
// of it is then a failure like one that is never made.
type wholeBody struct {
	base  http.RoundTripper
	limit int
}

func (w wholeBody) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := w.base.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body := io.Reader(resp.Body)
	if w.limit > 0 {
		body = io.LimitReader(body, int64(w.limit)+1)
	}
	text, err := io.ReadAll(body)
	if err != nil {
		return nil, fmt.Errorf("the connection was cut: %w", err)
	}
	if w.limit > 0 && len(text) > w.limit {
		return nil, fmt.Errorf("%w: %d bytes", errOversize, w.limit)
	}
	resp.Body = io.NopCloser(bytes.NewReader(text))
	return resp, nil
}

// post sends the request in the dialect of the model, and reads its answer.
func (r *Relay) post(ctx context.Context, name string, m Model, key string, req Request) (Answer, *Error) {
	d := dialects[m.Backend]
	body, err := json.Marshal(merged(d.body(m, req), m.Parameters))
	if err != nil {
		return Answer{}, &Error{name, Protocol, 0, err}
	}
	hr, err := retryablehttp.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(m.URL, "/")+d.path(m), body)
	if err != nil {
		return Answer{}, &Error{name, Protocol, 0, err}
	}
	hr.Header.Set("Content-Type", "application/json")
	hr.Header.Set("Accept", "application/json")
	hr.Header.Set("User-Agent", "sheratan")
	if key != "" {
		d.authorize(hr.Header, key)
	}
	var before error // what came of the last attempt that is to be repeated
	resp, err := r.retrying(m, &before).Do(hr)
	if err != nil {
		if before != nil && ctx.Err() != nil {
			err = &repeated{err, hide(before, key)}
		}
		kind := Lost
		if errors.Is(err, errOversize) {
			kind = Protocol
		}
		return Answer{}, &Error{name, kind, 0, hide(err, key)}
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return Answer{}, &Error{name, Lost, 0, hide(err, key)}
	}
	if resp.StatusCode != http.StatusOK {
		return Answer{}, &Error{name, Status, resp.StatusCode, hide(fmt.Errorf("%s: %s", resp.Status, quote(text)), key)}
	}
	answer, err := d.answer(text)
	if err != nil {
		return Answer{}, &Error{name, Protocol, resp.StatusCode, hide(err, key)}
	}
	return answer, nil
}

// repeated is an attempt that time ran out for, after one that failed for another reason.
type repeated struct {
	error
	before error
}

func (e *repeated) Unwrap() error { return e.error }

// hide takes the key out of what a server or a library says. Some send it back.
func hide(err error, key string) error {
	if text := err.Error(); key != "" && strings.Contains(text, key) {
		return errors.New(strings.ReplaceAll(text, key, "[key]"))
	}
	return err
}

func quote(text []byte) string {
	if len(text) > quoted {
		text = append(bytes.Clone(text[:quoted]), "…"...)
	}
	return strconv.Quote(string(bytes.ToValidUTF8(text, []byte("?"))))
}

// retrying is a client for one call; before is set to what came of each attempt that is repeated.
func (r *Relay) retrying(m Model, before *error) *retryablehttp.Client {
	c := retryablehttp.NewClient()
	client := *r.client
	client.Transport = wholeBody{r.client.Transport, m.AnswerBytes}
	c.HTTPClient = &client
	c.Logger = nil
	c.RetryMax = maxRetries
	c.CheckRetry = func(ctx context.Context, resp *http.Response, err error) (bool, error) {
		retry, failed := r.again(ctx, resp, err)
		switch {
		case !retry:
		case err != nil:
			*before = err
		default:
			*before = errors.New(resp.Status)
		}
		return retry, failed
	}
	c.Backoff = func(_, _ time.Duration, n int, resp *http.Response) time.Duration { return r.wait(n, resp) }
	c.ErrorHandler = retryablehttp.PassthroughErrorHandler
	return c
}

// again decides whether an attempt is repeated: where the server asks for it, or nothing is known of what it did, and there
// is time left.
func (r *Relay) again(ctx context.Context, resp *http.Response, err error) (bool, error) {
	if ctx.Err() != nil {
		return false, ctx.Err()
	}
	if err != nil {
		if errors.Is(err, errOversize) {
			return false, err
		}
		// What is wrong with the address or the certificate no repetition mends: the library knows which.
		lost, _ := retryablehttp.DefaultRetryPolicy(ctx, nil, err)
		return lost, nil
	}
	switch code := resp.StatusCode; {
	case code == http.StatusRequestTimeout, code == http.StatusTooManyRequests, code >= 500:
	default:
		return false, nil
	}
	deadline, ok := ctx.Deadline()
	return !ok || r.retryAfter(resp) < time.Until(deadline), nil
}

// wait is how long to wait before the attempt after number n, from 0.
func (r *Relay) wait(n int, resp *http.Response) time.Duration {
	d := min(firstWait<<n, longWait)
	d = d/2 + rand.N(d/2) // not all at the same moment
	if resp != nil {
		d = max(d, r.retryAfter(resp))
	}
	return d
}

// retryAfter reads the header of that name: seconds, or a date (RFC 9110, 10.2.3). 0 is none.
func (r *Relay) retryAfter(resp *http.Response) time.Duration {
	text := resp.Header.Get("Retry-After")
	if n, err := strconv.ParseUint(text, 10, 31); err == nil {
		return time.Duration(n) * time.Second
	}
	if at, err := http.ParseTime(text); err == nil {
		return max(0, at.Sub(r.opt.Now()))
	}
	return 0
}

// merged adds the parameters of the config to a body. They may go into an object of it, such as generationConfig.
func merged(body, parameters map[string]any) map[string]any {
	for name, v := range parameters {
		inner, isObject := v.(map[string]any)
		if there, ok := body[name].(map[string]any); ok && isObject {
			body[name] = merged(there, inner)
			continue
		}
		body[name] = v
	}
	return body
}
