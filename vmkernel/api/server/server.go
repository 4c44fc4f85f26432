package server

import (
	"context"
	"crypto/tls"
	"errors"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"keel/vmkernel/api"
	"keel/vmkernel/api/backend"
	"keel/vmkernel/api/door"
	"keel/vmkernel/auth"
	"keel/vmkernel/datastore"
)

// Config is what a Server needs.
type Config struct {
	Name, Version, Build string

	VMs    backend.VMs
	Images datastore.Store
	Host   backend.Host
	Trust  *auth.Store
	Key    *auth.HostKey
	Audit  Audit
	Lines  *Lines // the host's log
	Log    *slog.Logger
	Now    func() time.Time // nil: time.Now
	Limits door.Limits      // of connections; the zero value: door.DefaultLimits

	times times // the zero value: usual
}

// Limits of calls.
const (
	maxBody       = 128 << 10 // bytes of JSON
	maxHeader     = 16 << 10
	maxURL        = 2 << 10
	maxCalls      = 256 // at once
	maxCallerUses = 64  // of one caller
	forAdmins     = 64  // of maxCalls, for administrators alone

	maxStrangerUses = 2 // of one connection without a certificate
)

// times are limits of time.
type times struct {
	header  time.Duration
	body    time.Duration // also for each piece of an upload
	write   time.Duration // also for each piece of a stream
	idle    time.Duration
	ping    time.Duration // of silence on an HTTP/2 connection, until the client is asked, and then for its answer
	recheck time.Duration // how often open connections are asked whether their certificates have expired
}

var usual = times{header: 10 * time.Second, body: 20 * time.Second, write: 30 * time.Second, idle: 3 * time.Minute,
	ping: 15 * time.Second, recheck: 5 * time.Second}

// Server serves the API.
type Server struct {
	Config
	routes     *node
	operations operations
	events     ring[happening]
	calls      calls
	counts     [len(outcomeNames)]atomic.Uint64 // calls by outcome
	work       chan struct{}                    // calls that compute
	changing   sync.Mutex                       // held from a comparison of ETags to the change

	ctx    context.Context // ends with Close
	cancel context.CancelFunc

	mu    sync.Mutex
	doors []*door.Door
	https []*http.Server
}

// New makes a Server.
func New(c Config) *Server {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Limits == (door.Limits{}) {
		c.Limits = door.DefaultLimits()
	}
	if c.times == (times{}) {
		c.times = usual
	}
	s := &Server{Config: c, work: make(chan struct{}, max(1, runtime.GOMAXPROCS(0)-1))}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.routes = tree(api.Routes)
	s.operations.init(s)
	s.events.init(maxEvents)
	s.calls.by = map[string]int{}
	go s.kept("events", s.pumpEvents)
	go s.kept("recheck", s.recheck)
	return s
}

// Serve answers what comes by l until Close; it may be called for several listeners.
func (s *Server) Serve(l net.Listener) error {
	config := s.Trust.ServerConfig(s.Key)
	d := door.New(l, door.Config{TLS: config, Identify: s.identify, Refused: s.refused, Limits: s.Limits})
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true) // as far as it can see: by TLS all the same, see package door
	h := &http.Server{
		Handler:           s,
		TLSConfig:         &tls.Config{NextProtos: config.NextProtos},
		Protocols:         protocols,
		ReadHeaderTimeout: s.times.header,
		// What has a body has a limit for it (ServeHTTP), and the door's connections limit each write: ReadTimeout and
		// HTTP/2's WriteByteTimeout would set timers for each small call.
		WriteTimeout:   s.times.write,
		IdleTimeout:    s.times.idle,
		MaxHeaderBytes: maxHeader,
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams:          32,
			MaxDecoderHeaderTableSize:     4 << 10,
			MaxEncoderHeaderTableSize:     4 << 10,
			MaxReadFrameSize:              16 << 10,
			MaxReceiveBufferPerConnection: 128 << 10,
			MaxReceiveBufferPerStream:     64 << 10,
			SendPingTimeout:               s.times.ping,
			PingTimeout:                   s.times.ping,
		},
		DisableGeneralOptionsHandler: true,
		ErrorLog:                     log.New(debugLog{s.Log}, "", 0),
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, peerKey{}, door.PeerOf(c))
		},
	}
	s.mu.Lock()
	s.doors, s.https = append(s.doors, d), append(s.https, h)
	s.mu.Unlock()
	if s.ctx.Err() != nil {
		s.Close()
	}
	err := h.Serve(d)
	if errors.Is(err, http.ErrServerClosed) || s.ctx.Err() != nil {
		return nil
	}
	return err
}

// Close ends the server: no connections are taken, and those that are open end. Operations are given up.
func (s *Server) Close() {
	s.cancel()
	s.mu.Lock()
	doors, https := s.doors, s.https
	s.mu.Unlock()
	for _, h := range https {
		h.Close()
	}
	for _, d := range doors {
		d.Close()
		d.Recheck(func(*door.Peer) bool { return false }) // WebSockets, which http.Server no longer knows
	}
}

type peerKey struct{}

// identify is the door's: who has finished a handshake.
func (s *Server) identify(state *tls.ConnectionState) (door.Peer, error) {
	id, err := s.Trust.Peer(state)
	var refusal *auth.Refusal
	switch {
	case errors.As(err, &refusal) && refusal.Reason == auth.NoCertificate && s.Trust.ClaimOpen():
		return door.Peer{}, nil
	case err != nil:
		return door.Peer{}, err
	}
	return door.Peer{Caller: id.Name, Admin: id.Role == auth.Admin, Known: true, ID: &id}, nil
}

// refused is the door's: what wasn't let in is counted, never recorded one by one.
func (s *Server) refused(from netip.Addr, why string, err error) {
	if why == door.Handshake && err != nil {
		why = string(auth.ReasonOf(err))
	}
	if why == door.Fault {
		s.Log.Error("door: a fault of Keel's: the connection has ended", "from", from.String(), "error", err)
	}
	s.Audit.Refuse(from.String(), why)
}

// debugLog takes what net/http has to say.
type debugLog struct{ log *slog.Logger }

func (d debugLog) Write(p []byte) (int, error) {
	d.log.Debug("http", "error", string(p[:min(len(p), 200)]))
	return len(p), nil
}

// calls counts those that are being answered.
type calls struct {
	mu    sync.Mutex
	total int
	by    map[string]int
}

// enter says whether there is room for another call of a caller, who may have so many.
func (c *calls) enter(caller string, his int, admin bool) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	most := maxCalls
	if !admin {
		most -= forAdmins
	}
	if c.total >= most || c.by[caller] >= his {
		return false
	}
	c.total++
	c.by[caller]++
	return true
}

func (c *calls) leave(caller string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.total--
	if c.by[caller]--; c.by[caller] == 0 {
		delete(c.by, caller)
	}
}
