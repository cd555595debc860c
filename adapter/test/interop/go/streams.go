package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cloudwego/shmipc-go"
)

// pattern fills p: the byte at any offset of any message of any stream is another one.
func pattern(p []byte, seed uint64) {
	x := seed*0x9e3779b97f4a7c15 + 1
	for len(p) >= 8 {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		binary.LittleEndian.PutUint64(p, x)
		p = p[8:]
	}
	for i := range p {
		p[i] = byte(x >> (8 * i))
	}
}

type echoArgs struct {
	Name    string `json:"name"`
	Streams int    `json:"streams"`
	// Each stream sends each size Rounds times and reads it back before the next.
	Sizes  []int `json:"sizes"`
	Rounds int   `json:"rounds"`
	// How: "conn" as a net.Conn; "buffer" with the zero-copy writer and reader.
	How string `json:"how"`
}

// echo returns the bytes that came back and were compared, and the messages.
func echo(a echoArgs) (any, error) {
	var total, messages atomic.Int64
	errs := make(chan error, a.Streams)
	for i := range a.Streams {
		go func() {
			errs <- echoStream(a, uint64(i), &total, &messages)
		}()
	}
	var failures []error
	for range a.Streams {
		if err := <-errs; err != nil {
			failures = append(failures, err)
		}
	}
	return map[string]int64{"bytes": total.Load(), "messages": messages.Load()}, errors.Join(failures...)
}

func echoStream(a echoArgs, seed uint64, total, messages *atomic.Int64) error {
	_, s, err := stream(a.Name)
	if err != nil {
		return err
	}
	defer s.Close()
	var out, in []byte
	for round := range a.Rounds {
		for at, size := range a.Sizes {
			if cap(out) < size {
				out, in = make([]byte, size), make([]byte, size)
			}
			out, in = out[:size], in[:size]
			pattern(out, seed<<40|uint64(round)<<8|uint64(at))
			if err := exchange(a.How, s, out, in); err != nil {
				return fmt.Errorf("stream %d, round %d, %d bytes: %w", seed, round, size, err)
			}
			if !bytes.Equal(out, in) {
				return fmt.Errorf("stream %d, round %d: %d other bytes came back", seed, round, size)
			}
			total.Add(int64(size))
			messages.Add(1)
		}
	}
	return nil
}

func exchange(how string, s *shmipc.Stream, out, in []byte) error {
	if how != "buffer" {
		// Read while writing: an echo of more than the memory holds must not wait for itself.
		written := make(chan error, 1)
		go func() {
			_, err := s.Write(out)
			written <- err
		}()
		if _, err := io.ReadFull(s, in); err != nil {
			return err
		}
		return <-written
	}
	reserved, err := s.BufferWriter().Reserve(len(out))
	if err != nil {
		return err
	}
	copy(reserved, out)
	if err := s.Flush(false); err != nil {
		return err
	}
	got, err := s.BufferReader().ReadBytes(len(in))
	if err != nil {
		return err
	}
	copy(in, got)
	s.BufferReader().ReleasePreviousRead()
	return nil
}

// Pulls that wait to be resumed.
var pulls sync.Map

// pull sends a line, does not read before "resume", and then reads to the end of the stream, with a
// pause behind what it reads first. Returns how many bytes came.
func pull(a struct {
	Name    string `json:"name"`
	Line    string `json:"line"`
	PauseMs int    `json:"pauseMs"`
}) (any, error) {
	_, s, err := stream(a.Name)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	gate := make(chan struct{})
	pulls.Store(a.Line, gate)
	if _, err := s.Write([]byte(a.Line + "\n")); err != nil {
		return nil, err
	}
	<-gate
	buffer := make([]byte, 64<<10)
	total, sum := int64(0), uint32(0)
	for {
		n, err := s.Read(buffer)
		for _, b := range buffer[:n] {
			sum = sum*31 + uint32(b)
		}
		if total == 0 {
			time.Sleep(time.Duration(a.PauseMs) * time.Millisecond)
		}
		total += int64(n)
		if err == nil {
			continue
		}
		if errors.Is(err, shmipc.ErrEndOfStream) {
			return map[string]any{"bytes": total, "sum": sum}, nil
		}
		return nil, err
	}
}

func resumePull(a struct {
	Line string `json:"line"`
}) (any, error) {
	gate, waits := pulls.LoadAndDelete(a.Line)
	if !waits {
		return nil, errors.New("nothing waits for " + a.Line)
	}
	close(gate.(chan struct{}))
	return nil, nil
}

// raceClose opens streams one after the other, writes on each and closes it at once, so that closes
// and data cross.
func raceClose(a struct {
	Name    string `json:"name"`
	Streams int    `json:"streams"`
	Size    int    `json:"size"`
}) (any, error) {
	message := make([]byte, a.Size)
	pattern(message, 7)
	for i := range a.Streams {
		_, s, err := stream(a.Name)
		if err != nil {
			return nil, err
		}
		if _, err := s.Write(message); err != nil {
			return nil, err
		}
		if i%2 == 0 {
			// Half of them when the answer is on its way.
			if _, err := s.Read(make([]byte, 1)); err != nil {
				return nil, err
			}
		}
		if err := s.Close(); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

// pooled takes a stream, uses it, puts it back, takes one again; returns whether that was the same.
func pooled(a named) (any, error) {
	manager, first, err := stream(a.Name)
	if err != nil {
		return nil, err
	}
	message, back := []byte("pooled"), make([]byte, 6)
	ids := map[uint32]int{}
	s := first
	for range 10 {
		if err := exchange("buffer", s, message, back); err != nil {
			return nil, err
		}
		ids[s.StreamID()]++
		manager.PutBack(s)
		if s, err = manager.GetStream(); err != nil {
			return nil, err
		}
	}
	s.Close()
	return len(ids), nil
}

type loadArgs struct {
	Name    string `json:"name"`
	Workers int    `json:"workers"`
	Size    int    `json:"size"`
}

type loadState struct {
	ending   chan struct{}
	workers  sync.WaitGroup
	mu       sync.Mutex
	done     int64
	failures []string
}

var loads sync.Map

// load exchanges messages, each on a stream of the pool, until endLoad.
func load(a loadArgs) (any, error) {
	state := &loadState{ending: make(chan struct{})}
	loads.Store(a.Name, state)
	for i := range a.Workers {
		state.workers.Add(1)
		go func() {
			defer state.workers.Done()
			state.work(a, uint64(i))
		}()
	}
	return nil, nil
}

func (l *loadState) work(a loadArgs, seed uint64) {
	out, in := make([]byte, a.Size), make([]byte, a.Size)
	for round := uint64(0); ; round++ {
		select {
		case <-l.ending:
			return
		default:
		}
		pattern(out, seed<<32|round)
		err := l.once(a.Name, out, in)
		l.mu.Lock()
		l.done++
		if err != nil {
			l.failures = append(l.failures, err.Error())
		}
		l.mu.Unlock()
	}
}

func (l *loadState) once(name string, out, in []byte) error {
	manager, s, err := stream(name)
	if err != nil {
		return err
	}
	s.SetDeadline(time.Now().Add(10 * time.Second))
	if err := exchange("buffer", s, out, in); err != nil {
		s.Close()
		return err
	}
	if !bytes.Equal(out, in) {
		return errors.New("other bytes came back")
	}
	manager.PutBack(s)
	return nil
}

func endLoad(a named) (any, error) {
	found, running := loads.LoadAndDelete(a.Name)
	if !running {
		return nil, errors.New("no load on " + a.Name)
	}
	state := found.(*loadState)
	close(state.ending)
	state.workers.Wait()
	failures := state.failures
	if len(failures) > 5 {
		failures = failures[:5]
	}
	return map[string]any{"done": state.done, "failed": len(state.failures), "failures": failures}, nil
}
