package shmnet

import (
	"net"

	"github.com/cloudwego/shmipc-go"
)

type listener struct{ net.Listener }

// Listen serves a Unix socket; each stream of a client is a Conn. For http.Serve.
func Listen(path string) (net.Listener, error) {
	inner, err := shmipc.Listen(path)
	if err != nil {
		return nil, err
	}
	return listener{inner}, nil
}

func (l listener) Accept() (net.Conn, error) {
	stream, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return Wrap(stream, nil), nil
}
