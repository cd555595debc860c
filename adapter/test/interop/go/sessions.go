package main

import (
	"errors"
	"io"
	"os"
	"sync"

	"github.com/cloudwego/shmipc-go"
)

type slices struct {
	Size    uint32 `json:"size"`
	Percent uint32 `json:"percent"`
}

type dialArgs struct {
	Name     string   `json:"name"`
	Network  string   `json:"network"`
	Address  string   `json:"address"`
	Files    bool     `json:"files"`  // memory in files: protocol 2
	Prefix   string   `json:"prefix"` // of the regions' names
	Memory   uint32   `json:"memory"`
	Queue    uint32   `json:"queue"`
	Slices   []slices `json:"slices"`
	Sessions int      `json:"sessions"`
}

var (
	managersMu sync.Mutex
	managers   = map[string]*shmipc.SessionManager{}
)

// configure applies what dial and the HTTP client have in common.
func (a dialArgs) configure(c *shmipc.SessionManagerConfig) {
	c.Network = "unix"
	if a.Network != "" {
		c.Network = a.Network
	}
	c.Address = a.Address
	c.LogOutput = logs()
	c.MemMapType = shmipc.MemMapTypeMemFd
	if a.Files {
		c.MemMapType = shmipc.MemMapTypeDevShmFile
	}
	if a.Prefix != "" {
		c.ShareMemoryPathPrefix = a.Prefix
	}
	if a.Memory != 0 {
		c.ShareMemoryBufferCap = a.Memory
	}
	if a.Queue != 0 {
		c.QueueCap = a.Queue
	}
	if a.Sessions != 0 {
		c.SessionNum = a.Sessions
	}
	if len(a.Slices) > 0 {
		c.BufferSliceSizes = nil
		for _, s := range a.Slices {
			c.BufferSliceSizes = append(c.BufferSliceSizes, &shmipc.SizePercentPair{Size: s.Size, Percent: s.Percent})
		}
	}
}

// logs of shmipc-go: to be seen when a test is run with SHMIPC_LOG_LEVEL set.
func logs() io.Writer {
	if os.Getenv("SHMIPC_LOG_LEVEL") != "" {
		return os.Stderr
	}
	return io.Discard
}

func dial(a dialArgs) (any, error) {
	config := shmipc.DefaultSessionManagerConfig()
	config.Config = shmipc.DefaultConfig()
	a.configure(config)
	manager, err := shmipc.NewSessionManager(config)
	if err != nil {
		return nil, err
	}
	managersMu.Lock()
	defer managersMu.Unlock()
	managers[a.Name] = manager
	return nil, nil
}

type named struct {
	Name string `json:"name"`
}

func hangUp(a named) (any, error) {
	managersMu.Lock()
	manager := managers[a.Name]
	delete(managers, a.Name)
	managersMu.Unlock()
	if manager == nil {
		return nil, errors.New("no session named " + a.Name)
	}
	return nil, manager.Close()
}

func stream(name string) (*shmipc.SessionManager, *shmipc.Stream, error) {
	managersMu.Lock()
	manager := managers[name]
	managersMu.Unlock()
	if manager == nil {
		return nil, nil, errors.New("no session named " + name)
	}
	s, err := manager.GetStream()
	return manager, s, err
}

// statistics of the memory and the fallbacks of a session, as shmipc-go counts them.
func statistics(a named) (any, error) {
	manager, s, err := stream(a.Name)
	if err != nil {
		return nil, err
	}
	defer manager.PutBack(s)
	_, stability, memory := s.Session().GetMetrics()
	return map[string]uint64{
		"fallbackWrites": stability.FallbackWriteCount,
		"fallbackReads":  stability.FallbackReadCount,
		"memory":         memory.CapacityOfShareMemoryInBytes,
		"inUse":          memory.AllInUsedShareMemoryInBytes,
		"streams":        uint64(s.Session().GetActiveStreamCount()),
	}, nil
}
