// Command service is an ordinary net/http service on a shared-memory socket, to be put behind the
// shmesh proxy.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"shmesh.example/go-service/shmnet"
)

func main() {
	path := flag.String("path", "/tmp/shmesh-go-service.sock", "Unix socket to serve")
	flag.Parse()
	if err := os.Remove(*path); err != nil && !errors.Is(err, os.ErrNotExist) {
		log.Fatal(err)
	}
	listener, err := shmnet.Listen(*path)
	if err != nil {
		log.Fatal(err)
	}
	server := &http.Server{Handler: routes(), ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGINT, syscall.SIGTERM)
	drained := make(chan struct{})
	go func() {
		<-stop
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := server.Shutdown(ctx); err != nil {
			log.Print(err)
		}
		close(drained)
	}()
	fmt.Printf("listening on shm://%s\n", *path)
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		select {
		case <-drained:
		default:
			log.Fatal(err)
		}
	}
	<-drained
}

func routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/hello", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, "hello from Go")
	})
	mux.HandleFunc("/echo", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Length", fmt.Sprint(len(body)))
		w.Write(body)
	})
	return mux
}
