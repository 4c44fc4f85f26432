package client

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"syscall"
	"time"

	"keel/vmkernel/api"
	"keel/vmkernel/auth"
)

// Port is where a host listens.
const Port = "443"

// Config makes a Client.
type Config struct {
	Address     string           // host or host:port
	Certificate *tls.Certificate // nil: a stranger's, for a claim
	Expect      auth.Expect      // how the host is known
	Agent       string           // name/version, for the host's log
	// Dial opens a TCP connection; nil: package net does.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// Client calls one host. Any goroutine may use it.
type Client struct {
	config Config
	tls    *tls.Config
	http   *http.Client
	http1  *http.Client // for WebSockets
}

// New makes a Client. It connects when it is first used.
func New(c Config) *Client {
	if _, _, err := net.SplitHostPort(c.Address); err != nil {
		c.Address = net.JoinHostPort(strings.Trim(c.Address, "[]"), Port)
	}
	if c.Dial == nil {
		c.Dial = (&net.Dialer{Timeout: 10 * time.Second}).DialContext
	}
	if c.Expect.Name == "" {
		c.Expect.Name, _, _ = net.SplitHostPort(c.Address)
	}
	out := &Client{config: c, tls: auth.ClientConfig(c.Certificate, c.Expect)}
	out.tls.ServerName = c.Expect.Name
	out.http = &http.Client{Transport: out.transport(true), CheckRedirect: noRedirect}
	out.http1 = &http.Client{Transport: out.transport(false), CheckRedirect: noRedirect}
	return out
}

func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

func (c *Client) transport(h2 bool) *http.Transport {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(h2)
	config := c.tls.Clone()
	if !h2 {
		config.NextProtos = []string{"http/1.1"}
	}
	return &http.Transport{
		Protocols:       protocols,
		TLSClientConfig: config,
		DialTLSContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return c.connect(ctx, network, config)
		},
		IdleConnTimeout:        2 * time.Minute,
		MaxResponseHeaderBytes: 64 << 10,
		HTTP2:                  &http.HTTP2Config{SendPingTimeout: 15 * time.Second, PingTimeout: 15 * time.Second},
	}
}

// connectTries is how often a connection is tried that the door turns away: it does so in a crowd.
const connectTries = 8

// connect opens a connection and has it through its handshake.
func (c *Client) connect(ctx context.Context, network string, config *tls.Config) (net.Conn, error) {
	for try := 1; ; try++ {
		raw, err := c.config.Dial(ctx, network, c.config.Address)
		if err != nil {
			return nil, err
		}
		conn := tls.Client(raw, config)
		if err = conn.HandshakeContext(ctx); err == nil {
			return conn, nil
		}
		raw.Close()
		if try == connectTries || !turnedAway(err) {
			return nil, err
		}
		pause := time.Duration(1<<try) * 25 * time.Millisecond
		select {
		case <-time.After(pause/2 + rand.N(pause)):
		case <-ctx.Done():
			return nil, err
		}
	}
}

// turnedAway says whether a handshake's error may be a crowd's.
func turnedAway(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) || strings.Contains(err.Error(), "remote error: tls: internal error")
}

// Close ends the connections.
func (c *Client) Close() {
	c.http.CloseIdleConnections()
	c.http1.CloseIdleConnections()
}

// Address is where the host is.
func (c *Client) Address() string { return c.config.Address }

// Response is what a call gave beside its body.
type Response struct {
	Status int
	Header http.Header
}

// ETag is that of what the call was about.
func (r *Response) ETag() string { return r.Header.Get("ETag") }

// Request is a call.
type Request struct {
	Method, Path string // /v1/…, with its query
	Header       http.Header
	In           any       // becomes JSON; nil: none
	Body         io.Reader // instead of In
	Out          any       // pointer: the answer's JSON goes there; nil: it is dropped
}

// Do calls. The error is an *Error.
func (c *Client) Do(ctx context.Context, r Request) (*Response, error) {
	answer, err := c.open(ctx, r)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if r.Out != nil && answer.StatusCode != http.StatusNoContent {
		if err := json.NewDecoder(answer.Body).Decode(r.Out); err != nil {
			return nil, c.wrap(ctx, fmt.Errorf("the answer can't be read: %w", err))
		}
	}
	io.Copy(io.Discard, io.LimitReader(answer.Body, 4<<10)) // so that the connection serves again
	return &Response{answer.StatusCode, answer.Header}, nil
}

// open calls, and returns a success whose body is to be closed.
func (c *Client) open(ctx context.Context, r Request) (*http.Response, error) {
	body := r.Body
	if r.In != nil {
		text, err := json.Marshal(r.In)
		if err != nil {
			return nil, &Error{Kind: Invalid, Message: err.Error(), Err: err}
		}
		body = bytes.NewReader(text)
	}
	request, err := http.NewRequestWithContext(ctx, r.Method, "https://"+c.config.Address+r.Path, body)
	if err != nil {
		return nil, &Error{Kind: Invalid, Message: err.Error(), Err: err}
	}
	if r.Header != nil {
		request.Header = r.Header.Clone()
	}
	if r.In != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	if c.config.Agent != "" {
		request.Header.Set("User-Agent", c.config.Agent)
	}
	answer, err := c.http.Do(request)
	if err != nil {
		return nil, c.wrap(ctx, err)
	}
	if answer.StatusCode >= 300 {
		defer answer.Body.Close()
		return nil, failure(answer)
	}
	return answer, nil
}

// failure is an answer that isn't a success.
func failure(answer *http.Response) *Error {
	text, _ := io.ReadAll(io.LimitReader(answer.Body, 64<<10))
	var body api.ErrorBody
	if json.Unmarshal(text, &body) != nil || body.Error == nil {
		return &Error{Status: answer.StatusCode, Message: "the host answers " + answer.Status}
	}
	return ofAPI(answer.StatusCode, body.Error)
}

// Get, Post, Put and Delete are Do for what is called most. Put needs the ETag that Get has given.
func (c *Client) Get(ctx context.Context, path string, out any) (*Response, error) {
	return c.Do(ctx, Request{Method: "GET", Path: path, Out: out})
}

func (c *Client) Post(ctx context.Context, path string, in, out any) (*Response, error) {
	return c.Do(ctx, Request{Method: "POST", Path: path, In: in, Out: out})
}

func (c *Client) Put(ctx context.Context, path, etag string, in, out any) (*Response, error) {
	return c.Do(ctx, Request{Method: "PUT", Path: path, Header: http.Header{"If-Match": {etag}}, In: in, Out: out})
}

func (c *Client) Delete(ctx context.Context, path string) error {
	_, err := c.Do(ctx, Request{Method: "DELETE", Path: path})
	return err
}

// Bytes reads an answer that isn't JSON, of at most so many bytes.
func (c *Client) Bytes(ctx context.Context, path string, most int64) ([]byte, *Response, error) {
	answer, err := c.open(ctx, Request{Method: "GET", Path: path})
	if err != nil {
		return nil, nil, err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, most+1))
	if err == nil && int64(len(text)) > most {
		err = fmt.Errorf("the answer has more than %d bytes", most)
	}
	if err != nil {
		return nil, nil, c.wrap(ctx, err)
	}
	return text, &Response{answer.StatusCode, answer.Header}, nil
}

// Shown is what a host has shown of itself in a handshake, before anybody believes it.
type Shown struct {
	Key         auth.Fingerprint
	Certificate *x509.Certificate
}

// Show connects to a host that isn't known yet, and says by what key it answers.
func Show(ctx context.Context, config Config) (Shown, error) {
	config.Expect = auth.Expect{}
	c := New(config)
	defer c.Close()
	conn, err := c.connect(ctx, "tcp", c.tls)
	if err != nil {
		return Shown{}, c.wrap(ctx, err)
	}
	defer conn.Close()
	state := conn.(*tls.Conn).ConnectionState()
	return Shown{auth.KeyOf(&state), state.PeerCertificates[0]}, nil
}
