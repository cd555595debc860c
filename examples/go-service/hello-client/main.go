// Command hello-client asks a server of examples/hello-world, in Node.js or in Go, over shared memory.
package main

import (
	"bufio"
	"flag"
	"fmt"
	"log"
	"os"

	"github.com/cloudwego/shmipc-go"
)

func main() {
	path := flag.String("path", "/tmp/shmesh-hello.sock", "the server's Unix socket")
	flag.Parse()

	config := shmipc.DefaultSessionManagerConfig()
	config.Config = shmipc.DefaultConfig()
	config.Network = "unix"
	config.Address = *path
	config.MemMapType = shmipc.MemMapTypeMemFd
	config.LogOutput = os.Stderr
	manager, err := shmipc.NewSessionManager(config)
	if err != nil {
		log.Fatal(err)
	}
	defer manager.Close()
	stream, err := manager.GetStream()
	if err != nil {
		log.Fatal(err)
	}
	defer stream.Close()
	answers := bufio.NewScanner(stream)
	for _, name := range []string{"memory", "world"} {
		if _, err := fmt.Fprintln(stream, name); err != nil {
			log.Fatal(err)
		}
		if !answers.Scan() {
			log.Fatal(answers.Err())
		}
		fmt.Println(answers.Text())
	}
}
