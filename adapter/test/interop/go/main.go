// Command peer is the other end of the interop tests: shmipc-go, told what to do by its test.
//
// Each line of standard input is a command, {"id":1,"do":"echo",...}; each is run beside the others
// and answered on descriptor 3 by {"id":1,"result":...} or {"id":1,"error":"..."}, since shmipc-go
// logs to standard output. It ends with its standard input.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"sync"
)

type command struct {
	ID   int             `json:"id"`
	Do   string          `json:"do"`
	Args json.RawMessage `json:"args"`
}

type answer struct {
	ID     int    `json:"id"`
	Result any    `json:"result"`
	Error  string `json:"error,omitempty"`
}

// handlers by name; each decodes its own arguments.
var handlers = map[string]func(json.RawMessage) (any, error){
	"dial":       handle(dial),
	"hangUp":     handle(hangUp),
	"echo":       handle(echo),
	"pull":       handle(pull),
	"resume":     handle(resumePull),
	"raceClose":  handle(raceClose),
	"pooled":     handle(pooled),
	"request":    handle(request),
	"load":       handle(load),
	"endLoad":    handle(endLoad),
	"statistics": handle(statistics),
	"serve":      handle(serve),
	"stop":       handle(stop),
	"restart":    handle(restart),
	"hijacked":   handle(hijacked),
}

func handle[A any](run func(A) (any, error)) func(json.RawMessage) (any, error) {
	return func(raw json.RawMessage) (any, error) {
		var args A
		if len(raw) > 0 {
			if err := json.Unmarshal(raw, &args); err != nil {
				return nil, err
			}
		}
		return run(args)
	}
}

func main() {
	var mu sync.Mutex
	out := json.NewEncoder(os.NewFile(3, "answers"))
	send := func(a answer) {
		mu.Lock()
		defer mu.Unlock()
		if err := out.Encode(a); err != nil {
			os.Exit(1) // the test is gone
		}
	}
	send(answer{Result: "ready"})
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var c command
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(2)
		}
		go func() {
			run, known := handlers[c.Do]
			if !known {
				send(answer{ID: c.ID, Error: "no such command: " + c.Do})
				return
			}
			result, err := run(c.Args)
			if err != nil {
				send(answer{ID: c.ID, Error: err.Error()})
				return
			}
			send(answer{ID: c.ID, Result: result})
		}()
	}
}
