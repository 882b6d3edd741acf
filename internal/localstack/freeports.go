package localstack

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
)

// Free ports are taken from below the range that kernels choose from for port 0 and
// for outgoing connections: Linux begins at 32768, macOS and IANA at 49152. Whoever
// asks the kernel for any port cannot get one that FreeAddrs has returned and whose
// server has yet to start.
const (
	firstFreePort = 10_240
	lastFreePort  = 32_767
	portTries     = 1000
)

// FreeAddrs returns n different addresses of 127.0.0.1, at random, on which nobody
// listens now.
func FreeAddrs(n int) ([]string, error) {
	addrs := make([]string, 0, n)
	for range portTries {
		if len(addrs) == n {
			return addrs, nil
		}
		port := firstFreePort + rand.IntN(lastFreePort-firstFreePort+1)
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			continue
		}
		defer l.Close() // held until all are found, so that they differ
		addrs = append(addrs, l.Addr().String())
	}
	return nil, errors.New("find a free port of 127.0.0.1: all that were tried are in use")
}

// freePort returns a port of 127.0.0.1 as FreeAddrs does.
func freePort() (int, error) {
	addrs, err := FreeAddrs(1)
	if err != nil {
		return 0, err
	}
	_, port, err := net.SplitHostPort(addrs[0])
	if err != nil {
		return 0, err
	}
	return net.LookupPort("tcp", port)
}
