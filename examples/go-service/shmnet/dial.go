package shmnet

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"io"
	"log"
	"net"
	"sync"
	"time"

	"github.com/cloudwego/shmipc-go"
)

// Pauses between attempts to reach a server that is away.
const (
	firstPause = time.Millisecond
	maxPause   = 250 * time.Millisecond
)

// Dialer opens streams to one server. A session of shmipc-go that is lost stays away for 60 s, and
// one that has seen a message by its socket refuses new streams for 30 s; a Dialer replaces either at
// once and lets the streams of the old one end.
type Dialer struct {
	// Path of the server's Unix socket.
	Path string
	// Configure may change the session's configuration before it is used.
	Configure func(*shmipc.SessionManagerConfig)

	mu      sync.Mutex
	current *session
}

// session counts those who use a manager: its streams, and the dialer while it is the current one.
type session struct {
	manager *shmipc.SessionManager
	users   int
}

// DialContext is for http.Transport; network and address are ignored. It waits for a server that is
// away for as long as ctx lives.
func (d *Dialer) DialContext(ctx context.Context, _, _ string) (net.Conn, error) {
	pause := firstPause
	for {
		conn, err := d.open()
		if err == nil {
			return conn, nil
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("%s: %w (last: %v)", d.Path, ctx.Err(), err)
		case <-time.After(pause):
		}
		pause = min(2*pause, maxPause)
	}
}

// Close ends the dialer; streams go on until their owners close them.
func (d *Dialer) Close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.replace()
}

func (d *Dialer) open() (net.Conn, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.current != nil {
		if conn, err := d.stream(); err == nil {
			return conn, nil
		}
		d.replace()
	}
	manager, err := shmipc.NewSessionManager(d.config())
	if err != nil {
		return nil, err
	}
	d.current = &session{manager: manager, users: 1}
	return d.stream()
}

// stream takes one of the current session. d.mu is held.
func (d *Dialer) stream() (net.Conn, error) {
	used := d.current
	stream, err := used.manager.GetStream()
	if err != nil {
		return nil, err
	}
	used.users++
	return Wrap(stream, func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.release(used)
	}), nil
}

// replace gives the current session up. d.mu is held.
func (d *Dialer) replace() {
	if d.current != nil {
		d.release(d.current)
		d.current = nil
	}
}

func (d *Dialer) release(used *session) {
	used.users--
	if used.users == 0 {
		go func() {
			if err := used.manager.Close(); err != nil {
				log.Printf("shmnet: closing a session: %v", err)
			}
		}()
	}
}

func (d *Dialer) config() *shmipc.SessionManagerConfig {
	config := shmipc.DefaultSessionManagerConfig()
	config.Config = shmipc.DefaultConfig()
	config.Network = "unix"
	config.Address = d.Path
	config.LogOutput = io.Discard
	config.MemMapType = shmipc.MemMapTypeMemFd
	// A Go server finds memory by its name alone: in containers every program may be process 1.
	config.ShareMemoryPathPrefix = "/dev/shm/shmnet_" + random()
	if d.Configure != nil {
		d.Configure(config)
	}
	return config
}

func random() string {
	var bytes [8]byte
	if _, err := rand.Read(bytes[:]); err != nil {
		panic(err) // the system has no random numbers
	}
	return hex.EncodeToString(bytes[:])
}
