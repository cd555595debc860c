package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cloudwego/shmipc-go"
	"shmesh.example/go-service/shmnet"
)

type requestArgs struct {
	dialArgs
	// Wrapped: over shmnet's Dialer, else over bare streams.
	Wrapped    bool   `json:"wrapped"`
	URL        string `json:"url"`
	Method     string `json:"method"`
	Sizes      []int  `json:"sizes"`
	Rounds     int    `json:"rounds"`
	Concurrent int    `json:"concurrent"`
	TimeoutMs  int    `json:"timeoutMs"`
}

// request posts bodies to an echoing URL and compares what comes back; with method GET it reads. It
// returns the requests answered and the streams opened for them.
func request(a requestArgs) (any, error) {
	dialStream, hangUp, err := a.dialer()
	if err != nil {
		return nil, err
	}
	var dials, answered, read atomic.Int64
	transport := &http.Transport{
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			dials.Add(1)
			return dialStream(ctx, network, address)
		},
		MaxIdleConnsPerHost: 1024,
	}
	client := &http.Client{Transport: transport, Timeout: 30 * time.Second}
	if a.TimeoutMs != 0 {
		client.Timeout = time.Duration(a.TimeoutMs) * time.Millisecond
	}
	var failures []error
	var mu sync.Mutex
	var workers sync.WaitGroup
	for i := range a.Concurrent {
		workers.Add(1)
		go func() {
			defer workers.Done()
			for round := range a.Rounds {
				for at, size := range a.Sizes {
					n, err := exchangeHTTP(client, a, size, uint64(i)<<40|uint64(round)<<8|uint64(at))
					read.Add(n)
					if err != nil {
						mu.Lock()
						failures = append(failures, fmt.Errorf("%d bytes: %w", size, err))
						mu.Unlock()
						return
					}
					answered.Add(1)
				}
			}
		}()
	}
	workers.Wait()
	transport.CloseIdleConnections()
	hangUp()
	result := map[string]int64{"answered": answered.Load(), "streams": dials.Load(), "bytes": read.Load()}
	return result, errors.Join(failures...)
}

func exchangeHTTP(client *http.Client, a requestArgs, size int, seed uint64) (int64, error) {
	var body io.Reader
	sent := make([]byte, size)
	if a.Method != http.MethodGet {
		pattern(sent, seed)
		body = bytes.NewReader(sent)
	}
	r, err := http.NewRequest(a.Method, a.URL, body)
	if err != nil {
		return 0, err
	}
	r.Header.Set("Content-Type", "application/octet-stream")
	response, err := client.Do(r)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	got, err := io.ReadAll(response.Body)
	if err != nil {
		return int64(len(got)), err
	}
	if response.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("%s: %.200s", response.Status, got)
	}
	if a.Method != http.MethodGet && !bytes.Equal(sent, got) {
		return 0, errors.New("other bytes came back")
	}
	return int64(len(got)), nil
}

type dialFunc func(context.Context, string, string) (net.Conn, error)

func (a requestArgs) dialer() (dialFunc, func(), error) {
	if a.Wrapped {
		dialer := &shmnet.Dialer{Path: a.Address, Configure: func(c *shmipc.SessionManagerConfig) {
			a.configure(c)
		}}
		return dialer.DialContext, dialer.Close, nil
	}
	a.Name = "http " + a.Address + " " + a.Prefix
	if _, err := dial(a.dialArgs); err != nil {
		return nil, nil, err
	}
	dialStream := func(context.Context, string, string) (net.Conn, error) {
		_, s, err := stream(a.Name)
		return s, err
	}
	return dialStream, func() { hangUp(named{a.Name}) }, nil
}

// handler of a Go server under test.
func handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/echo", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Length", fmt.Sprint(len(body)))
		w.Write(body)
	})
	// As it comes, chunked.
	mux.HandleFunc("/stream", func(w http.ResponseWriter, r *http.Request) {
		io.Copy(w, r.Body)
	})
	// Delimited by the connection's end.
	mux.HandleFunc("/until-close", func(w http.ResponseWriter, r *http.Request) {
		conn, buffered, err := w.(http.Hijacker).Hijack()
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		fmt.Fprint(buffered, "HTTP/1.0 200 OK\r\n\r\nuntil the end")
		buffered.Flush()
		conn.Close()
	})
	// Both ways, as a WebSocket is.
	mux.HandleFunc("/upgrade", func(w http.ResponseWriter, r *http.Request) {
		conn, buffered, err := w.(http.Hijacker).Hijack()
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		defer conn.Close()
		hijacks.Add(1)
		fmt.Fprint(buffered, "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n")
		buffered.Flush()
		io.Copy(conn, buffered)
	})
	return mux
}

var hijacks atomic.Int64

func hijacked(struct{}) (any, error) { return hijacks.Load(), nil }
