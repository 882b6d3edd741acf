package localstack_test

import (
	"net"
	"testing"

	"github.com/firjob/firjob/internal/localstack"
)

// The addresses differ, can be listened on, and are none that the kernel gives for
// port 0.
func TestFreeAddrs(t *testing.T) {
	t.Parallel()
	addrs, err := localstack.FreeAddrs(50)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, addr := range addrs {
		if seen[addr] {
			t.Errorf("%s is there twice", addr)
		}
		seen[addr] = true
		to, err := net.ResolveTCPAddr("tcp", addr)
		if err != nil || !to.IP.IsLoopback() || to.Port < 10_240 || to.Port > 32_767 {
			t.Errorf("got %q, %v; want a loopback address with a port below those of the kernel", addr, err)
		}
	}
	if len(seen) != 50 {
		t.Errorf("got %d addresses, want 50", len(seen))
	}
}
