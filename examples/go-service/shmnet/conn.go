// Package shmnet makes streams of shmipc-go behave as net/http expects of a net.Conn.
//
// A bare stream differs in four ways: its end is an error that is not io.EOF, a deadline set while
// Read waits does not wake it, a timeout is not a net.Error, and so Hijack, IdleTimeout and
// ReadTimeout of a server do not work. Conn reads ahead into private memory and mends all four. It
// costs one copy.
package shmnet

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"github.com/cloudwego/shmipc-go"
)

// Bytes a Conn reads ahead before it waits for its reader.
const readAhead = 256 << 10

// Conn is a stream with the semantics of a TCP connection.
type Conn struct {
	net.Conn

	mu       sync.Mutex
	arrived  []byte
	failure  error         // why nothing more arrives
	wake     chan struct{} // closed and replaced when a reader or the read-ahead must look again
	deadline time.Time

	// writing is held by a Write, and by Close while it ends the stream; it guards closed.
	writing   sync.Mutex
	closed    bool
	closeOnce sync.Once
	closeErr  error
	onClose   func()
}

// Wrap takes over the stream; onClose, if not nil, is called once when it has been closed.
func Wrap(stream net.Conn, onClose func()) *Conn {
	c := &Conn{Conn: stream, wake: make(chan struct{}), onClose: onClose}
	go c.readAhead()
	return c
}

func (c *Conn) readAhead() {
	buffer := make([]byte, 32<<10)
	for {
		n, err := c.Conn.Read(buffer)
		c.mu.Lock()
		c.arrived = append(c.arrived, buffer[:n]...)
		if err != nil && c.failure == nil {
			c.failure = endOf(err)
		}
		c.signal()
		for len(c.arrived) >= readAhead && c.failure == nil {
			wake := c.wake
			c.mu.Unlock()
			<-wake
			c.mu.Lock()
		}
		over := c.failure != nil
		c.mu.Unlock()
		if over {
			return
		}
	}
}

// The peer's orderly close is an end of file; a lost session is not.
func endOf(err error) error {
	if errors.Is(err, shmipc.ErrEndOfStream) {
		return io.EOF
	}
	return err
}

// signal wakes whoever waits. c.mu is held.
func (c *Conn) signal() {
	close(c.wake)
	c.wake = make(chan struct{})
}

// Read returns io.EOF at the end of the stream and os.ErrDeadlineExceeded, a net.Error, at the
// deadline, also when that was set meanwhile.
func (c *Conn) Read(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		if !c.deadline.IsZero() && !time.Now().Before(c.deadline) {
			return 0, os.ErrDeadlineExceeded
		}
		if len(c.arrived) > 0 || len(p) == 0 {
			n := copy(p, c.arrived)
			c.arrived = c.arrived[n:]
			if len(c.arrived) == 0 {
				c.arrived = nil
			}
			c.signal()
			return n, nil
		}
		if c.failure != nil {
			return 0, c.failure
		}
		c.wait()
	}
}

// wait returns when something has changed or the deadline has passed. c.mu is held.
func (c *Conn) wait() {
	wake, deadline := c.wake, c.deadline
	c.mu.Unlock()
	defer c.mu.Lock()
	if deadline.IsZero() {
		<-wake
		return
	}
	timer := time.NewTimer(time.Until(deadline))
	defer timer.Stop()
	select {
	case <-wake:
	case <-timer.C:
	}
}

// Write maps shmipc's timeout to the standard one.
func (c *Conn) Write(p []byte) (int, error) {
	c.writing.Lock()
	defer c.writing.Unlock()
	if c.closed {
		return 0, net.ErrClosed
	}
	n, err := c.Conn.Write(p)
	if errors.Is(err, shmipc.ErrTimeout) || errors.Is(err, shmipc.ErrConnectionWriteTimeout) {
		err = os.ErrDeadlineExceeded
	}
	return n, err
}

// Close ends both directions: shmipc has no half-close. It waits for a Write under way: a stream of
// shmipc that is closed meanwhile has given its buffers away, and the Write would panic.
func (c *Conn) Close() error {
	c.closeOnce.Do(func() {
		c.writing.Lock()
		c.closed = true
		c.closeErr = c.Conn.Close()
		c.writing.Unlock()
		c.mu.Lock()
		c.failure = net.ErrClosed
		c.arrived = nil
		c.signal()
		c.mu.Unlock()
		if c.onClose != nil {
			c.onClose()
		}
	})
	return c.closeErr
}

// SetDeadline sets both deadlines.
func (c *Conn) SetDeadline(t time.Time) error {
	if err := c.SetReadDeadline(t); err != nil {
		return err
	}
	return c.Conn.SetWriteDeadline(t)
}

// SetReadDeadline also takes effect on a Read under way.
func (c *Conn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	c.deadline = t
	c.signal()
	c.mu.Unlock()
	return nil
}
