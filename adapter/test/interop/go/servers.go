package main

import (
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/cloudwego/shmipc-go"
	"shmesh.example/go-service/shmnet"
)

type serveArgs struct {
	Name    string `json:"name"`
	Network string `json:"network"`
	Address string `json:"address"`
	// Kind: "echo" on shmipc's own Listener with callbacks; "conn" echo on its net.Listener; "http" on
	// that; "wrapped" http on shmnet's.
	Kind  string `json:"kind"`
	Files bool   `json:"files"`
	// IdleMs of the HTTP server.
	IdleMs int `json:"idleMs"`
	// Beside: another process serves the path; bind aside and rename over it.
	Beside bool `json:"beside"`
}

// server of either kind; restart is nil when it has none.
type server struct {
	port    int
	stop    func() error
	restart func(epoch uint64) error
}

var (
	serversMu sync.Mutex
	servers   = map[string]server{}
)

func serve(a serveArgs) (any, error) {
	made, err := a.start()
	if err != nil {
		return nil, err
	}
	serversMu.Lock()
	defer serversMu.Unlock()
	servers[a.Name] = made
	return made.port, nil
}

func (a serveArgs) start() (server, error) {
	if a.Kind == "echo" {
		return a.startCallbacks()
	}
	listen := shmipc.Listen
	if a.Kind == "wrapped" {
		listen = shmnet.Listen
	}
	listener, err := listen(a.Address)
	if err != nil {
		return server{}, err
	}
	if a.Kind == "conn" {
		go acceptEchoes(listener)
		return server{stop: listener.Close}, nil
	}
	s := &http.Server{Handler: handler(), IdleTimeout: time.Duration(a.IdleMs) * time.Millisecond}
	go s.Serve(listener)
	return server{stop: s.Close}, nil
}

func acceptEchoes(listener net.Listener) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		go func() {
			defer conn.Close()
			io.Copy(conn, onlyReader{conn})
		}()
	}
}

// onlyReader keeps io.Copy from looking for shortcuts.
type onlyReader struct{ io.Reader }

func (a serveArgs) startCallbacks() (server, error) {
	config := shmipc.NewDefaultListenerConfig(a.Address, "unix")
	if a.Network != "" {
		config.Network = a.Network
	}
	final := a.Address
	if a.Beside {
		config.ListenPath = final + ".new"
	}
	config.LogOutput = logs()
	config.MemMapType = shmipc.MemMapTypeMemFd
	if a.Files {
		config.MemMapType = shmipc.MemMapTypeDevShmFile
	}
	callbacks := &acceptor{}
	listener, err := shmipc.NewListener(callbacks, config)
	if err != nil {
		return server{}, err
	}
	go listener.Run()
	if a.Beside {
		if err := os.Rename(config.ListenPath, final); err != nil {
			return server{}, err
		}
	}
	port := 0
	if tcp, ok := listener.Addr().(*net.TCPAddr); ok {
		port = tcp.Port
	}
	return server{
		port: port,
		stop: listener.Close,
		restart: func(epoch uint64) error {
			// Whoever comes after it serves the same path.
			listener.SetUnlinkOnClose(false)
			if err := listener.HotRestart(epoch); err != nil {
				return err
			}
			for !listener.IsHotRestartDone() {
				time.Sleep(10 * time.Millisecond)
			}
			// What clients had under way ends here.
			callbacks.drain()
			return listener.Close()
		},
	}, nil
}

// acceptor echoes each stream.
type acceptor struct {
	streams sync.WaitGroup
}

func (*acceptor) OnShutdown(string) {}

func (l *acceptor) OnNewStream(s *shmipc.Stream) {
	l.streams.Add(1)
	go func() {
		defer l.streams.Done()
		defer s.Close()
		buffer := make([]byte, 256<<10)
		for {
			n, err := s.Read(buffer)
			if n > 0 {
				if _, err := s.Write(buffer[:n]); err != nil {
					return
				}
			}
			if err != nil {
				return
			}
		}
	}()
}

// drain waits for the streams to end, at most 5 s.
func (l *acceptor) drain() {
	ended := make(chan struct{})
	go func() {
		l.streams.Wait()
		close(ended)
	}()
	select {
	case <-ended:
	case <-time.After(5 * time.Second):
	}
}

func stop(a named) (any, error) {
	s, err := forget(a.Name)
	if err != nil {
		return nil, err
	}
	return nil, s.stop()
}

// restart does what a Go server does when another process has taken its path over.
func restart(a struct {
	Name  string `json:"name"`
	Epoch uint64 `json:"epoch"`
}) (any, error) {
	s, err := forget(a.Name)
	if err != nil {
		return nil, err
	}
	if s.restart == nil {
		return nil, errors.New("a net.Listener of shmipc-go knows no hot restart")
	}
	return nil, s.restart(a.Epoch)
}

func forget(name string) (server, error) {
	serversMu.Lock()
	defer serversMu.Unlock()
	s, known := servers[name]
	if !known {
		return server{}, errors.New("no server named " + name)
	}
	delete(servers, name)
	return s, nil
}
