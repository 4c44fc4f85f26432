package client

import (
	"bytes"
	"context"
	"crypto"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	"keel/vmkernel/api"
	"keel/vmkernel/auth"
)

// Limits of a connection.
const (
	DialTimeout      = 10 * time.Second
	HandshakeTimeout = 10 * time.Second
	answerTimeout    = 2 * time.Minute // for the beginning of an answer, and for the whole of one in JSON
	silence          = 2 * time.Minute // a stream without a byte for so long is dead: hosts send empty lines

	maxAnswer = 64 << 20 // bytes of JSON
)

// Config says how to reach a host, and how to know it.
type Config struct {
	Name      string // for messages
	Address   string // host:port
	Client    *tls.Certificate
	Expect    auth.Expect // the zero Expect takes any host: look at Peer before saying anything of importance
	UserAgent string
}

// Conn reaches one host. All its methods may be called by any goroutine.
type Conn struct {
	config Config
	client *http.Client
	plain  *http.Client // HTTP/1.1 alone, for WebSockets

	mu   sync.Mutex
	peer auth.Fingerprint
	key  crypto.PublicKey
}

// New returns a Conn. It connects when it is first asked something.
func New(config Config) *Conn {
	c := &Conn{config: config}
	c.client = &http.Client{Transport: c.transport(true), CheckRedirect: noRedirect}
	c.plain = &http.Client{Transport: c.transport(false), CheckRedirect: noRedirect}
	return c
}

func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

func (c *Conn) transport(http2 bool) *http.Transport {
	t := &http.Transport{
		DialContext:           (&net.Dialer{Timeout: DialTimeout}).DialContext,
		ResponseHeaderTimeout: answerTimeout,
		ForceAttemptHTTP2:     http2,
		MaxIdleConnsPerHost:   4,
		DisableCompression:    true,
		TLSClientConfig:       auth.ClientConfig(c.config.Client, c.config.Expect),
	}
	check := t.TLSClientConfig.VerifyConnection
	t.TLSClientConfig.VerifyConnection = func(state tls.ConnectionState) error {
		if err := check(state); err != nil {
			return &unexpected{err}
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.peer, c.key = auth.KeyOf(&state), state.PeerCertificates[0].PublicKey
		return nil
	}
	t.DialTLSContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		return dial(ctx, t, network, address)
	}
	if !http2 {
		t.TLSClientConfig.NextProtos = []string{"http/1.1"}
		t.Protocols = new(http.Protocols)
		t.Protocols.SetHTTP1(true)
	}
	return t
}

// unexpected is what is wrong with a host that isn't the one that was meant.
type unexpected struct{ error }

func (u *unexpected) Unwrap() error { return u.error }

// Peer returns the fingerprint of the host's key, empty before the first call.
func (c *Conn) Peer() auth.Fingerprint {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.peer
}

// PeerKey returns the host's key, nil before the first call.
func (c *Conn) PeerKey() crypto.PublicKey {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.key
}

// Handshake asks the host for nothing but its key, and returns the fingerprint.
func (c *Conn) Handshake(ctx context.Context) (auth.Fingerprint, error) {
	ctx, cancel := context.WithTimeout(ctx, DialTimeout+HandshakeTimeout)
	defer cancel()
	conn, err := c.handshake(ctx)
	if err != nil {
		return "", c.failed(ctx, Request{Method: "TLS", Path: "handshake"}, err)
	}
	defer conn.Close()
	return c.Peer(), nil
}

// Name returns how messages name the host.
func (c *Conn) Name() string { return c.config.Name }

// Close closes the connections that are idle.
func (c *Conn) Close() {
	c.client.CloseIdleConnections()
	c.plain.CloseIdleConnections()
}

// Request is one call.
type Request struct {
	Method string
	Path   string // as Path makes it
	Query  url.Values
	In     any       // sent as JSON; nil: no body
	Body   io.Reader // sent as it is, instead of In
	Size   int64     // of Body
	Match  string    // If-Match
	Header [][2]string
	Status *int // where the status of an answer of success goes; nil: nowhere
}

// Path joins the parts of a path below /v1, each escaped.
func Path(parts ...string) string {
	path := "/v1"
	for _, p := range parts {
		path += "/" + url.PathEscape(p)
	}
	return path
}

// Call makes a call and reads its answer's JSON into out, unless that is nil. It returns the answer's header.
func (c *Conn) Call(ctx context.Context, r Request, out any) (http.Header, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout) // unless it ends before
	defer cancel()
	response, err := c.Do(ctx, r)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	switch {
	case err != nil:
		return nil, c.failed(ctx, r, err)
	case len(text) > maxAnswer:
		return nil, fail(Broken, "%s: its answer to %s %s has more than %d bytes", c.config.Name, r.Method, r.Path, maxAnswer)
	case out == nil || len(text) == 0:
		return response.Header, nil
	}
	// What an answer has more than is known here is ignored: it comes from a newer release.
	if err := json.Unmarshal(text, out); err != nil {
		return nil, fail(Broken, "%s: its answer to %s %s is not what was expected: %w", c.config.Name, r.Method, r.Path, err)
	}
	return response.Header, nil
}

// Get is Call with GET.
func (c *Conn) Get(ctx context.Context, path string, query url.Values, out any) error {
	_, err := c.Call(ctx, Request{Method: http.MethodGet, Path: path, Query: query}, out)
	return err
}

// Post is Call with POST.
func (c *Conn) Post(ctx context.Context, path string, in, out any) error {
	_, err := c.Call(ctx, Request{Method: http.MethodPost, Path: path, In: in}, out)
	return err
}

// Do makes a call and returns the answer, if it is one of success. The caller closes its Body.
func (c *Conn) Do(ctx context.Context, r Request) (*http.Response, error) {
	request, err := c.request(ctx, r)
	if err != nil {
		return nil, err
	}
	response, err := c.client.Do(request)
	if err != nil {
		return nil, c.failed(ctx, r, err)
	}
	if response.StatusCode >= 200 && response.StatusCode < 300 {
		if r.Status != nil {
			*r.Status = response.StatusCode
		}
		return response, nil
	}
	defer response.Body.Close()
	return nil, c.refused(r, response)
}

func (c *Conn) request(ctx context.Context, r Request) (*http.Request, error) {
	body, size := r.Body, r.Size
	if r.In != nil {
		text, err := json.Marshal(r.In)
		if err != nil {
			return nil, err
		}
		body, size = bytes.NewReader(text), int64(len(text))
	}
	address := "https://" + c.config.Address + r.Path
	if len(r.Query) > 0 {
		address += "?" + r.Query.Encode()
	}
	request, err := http.NewRequestWithContext(ctx, r.Method, address, body)
	if err != nil {
		return nil, err
	}
	request.Header.Set("User-Agent", c.config.UserAgent)
	if body != nil {
		request.ContentLength = size
		kind := "application/octet-stream"
		if r.In != nil {
			kind = "application/json"
		}
		request.Header.Set("Content-Type", kind)
	}
	if r.Match != "" {
		request.Header.Set("If-Match", r.Match)
	}
	for _, h := range r.Header {
		request.Header.Set(h[0], h[1])
	}
	return request, nil
}

// refused turns an answer that is no success into an error.
func (c *Conn) refused(r Request, response *http.Response) error {
	text, _ := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	var body api.ErrorBody
	if json.Unmarshal(text, &body) == nil && body.Error != nil && body.Error.Message != "" {
		return &Refused{c.config.Name, response.StatusCode, body.Error}
	}
	return &Refused{c.config.Name, response.StatusCode, &api.Error{
		Message: fmt.Sprintf("%s %s: %s", r.Method, r.Path, http.StatusText(response.StatusCode)),
		Details: map[string]string{"status": strconv.Itoa(response.StatusCode)},
	}}
}

// Refused is a host's answer that isn't a success.
type Refused struct {
	Host   string
	Status int
	Answer *api.Error
}

func (e *Refused) Error() string {
	if e.Answer.Code.Unknown() {
		return e.Host + ": its version of Keel doesn't know what was asked of it (`keelctl version` shows both): " + e.Answer.Message
	}
	return e.Host + ": " + e.Answer.Message
}

// Unwrap returns the host's own error.
func (e *Refused) Unwrap() error { return e.Answer }
