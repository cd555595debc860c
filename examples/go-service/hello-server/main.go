// Command hello-server answers the clients of examples/hello-world, in Node.js or in Go, over shared
// memory.
package main

import (
	"bufio"
	"flag"
	"fmt"
	"log"
	"net"
	"os"
	"os/signal"
	"syscall"

	"github.com/cloudwego/shmipc-go"
)

func main() {
	path := flag.String("path", "/tmp/shmesh-hello.sock", "the Unix socket to listen on")
	flag.Parse()

	listener, err := shmipc.Listen(*path)
	if err != nil {
		log.Fatal(err)
	}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go greet(conn)
		}
	}()
	fmt.Println("listening on", *path)

	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGINT, syscall.SIGTERM)
	<-stop
	listener.Close()
}

func greet(conn net.Conn) {
	defer conn.Close()
	names := bufio.NewScanner(conn)
	for names.Scan() {
		if _, err := fmt.Fprintf(conn, "hello, %s\n", names.Text()); err != nil {
			return
		}
	}
}
