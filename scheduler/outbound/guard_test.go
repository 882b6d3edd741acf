package outbound_test

import (
	"context"
	"encoding/binary"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"github.com/firjob/firjob/scheduler/outbound"
)

func TestWhatIsNotPublicIsForbidden(t *testing.T) {
	t.Parallel()
	for _, address := range []string{
		"127.0.0.1", "127.9.9.9", "::1", "0.0.0.0", "0.1.2.3", "::",
		"10.0.0.1", "10.255.255.255", "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1", "100.127.255.255",
		"169.254.169.254", "169.254.0.1", "168.63.129.16", "fe80::1", "fe80::1%eth0", "::1%lo", "2606:4700::1111%eth0", "fec0::1", "fd00:ec2::254", "fc00::1",
		"224.0.0.1", "239.255.255.255", "ff02::1", "255.255.255.255", "240.0.0.1",
		"192.0.0.1", "192.0.2.1", "192.88.99.1", "198.18.0.1", "198.19.255.255", "198.51.100.1", "203.0.113.1", "2001:db8::1", "100::1", "3fff::1", "5f00::1",
		"::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::ffff:0:10.0.0.1", "::127.0.0.1", "::10.0.0.1",
		"64:ff9b::127.0.0.1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::8.8.8.8",
		"2002:7f00:1::", "2002:a00:1::1", "2002:a9fe:a9fe::1", "2001:0:4136:e378:8000:63bf:3fff:fdd2",
	} {
		if why := outbound.Forbidden(netip.MustParseAddr(address)); why == "" {
			t.Errorf("%s is taken to be public", address)
		}
	}
	for _, address := range []string{"8.8.8.8", "1.1.1.1", "172.15.255.255", "172.32.0.1", "100.63.255.255", "100.128.0.1", "192.0.1.1", "198.20.0.1",
		"2606:4700::1111", "2a00:1450::1", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "2002:808:808::1"} {
		if why := outbound.Forbidden(netip.MustParseAddr(address)); why != "" {
			t.Errorf("%s is taken to be %s", address, why)
		}
	}
	if outbound.Forbidden(netip.Addr{}) == "" {
		t.Error("no address at all is taken to be public")
	}
}

func TestParseAllow(t *testing.T) {
	t.Parallel()
	a, err := outbound.ParseAllow([]string{"10.1.2.3/16", " 127.0.0.1", "fd00::/8", "Internal.Example.", ""})
	if err != nil || len(a.Prefixes) != 3 || len(a.Hosts) != 1 || a.Hosts[0] != "internal.example" || a.Prefixes[0].String() != "10.1.0.0/16" {
		t.Errorf("got %+v, %v", a, err)
	}
	_, err = outbound.ParseAllow([]string{"10.0.0.0/99", "example.org:80", "https://example.org", "*.example.org", "fe80::1%eth0", "good.example"})
	if err == nil || strings.Count(err.Error(), "\n") != 4 {
		t.Errorf("got %v, want five faults", err)
	}
}

// names is a DNS server of the test's own: each lookup of a name gets the next
// of its addresses, the last one again and again.
type names struct {
	mu      sync.Mutex
	of      map[string][]string
	lookups int
}

func (n *names) resolver() *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		near, far := net.Pipe()
		go n.serve(far)
		return near, nil
	}}
}

// serve answers queries over a stream, each with its length before it
// (RFC 1035, 4.2.2): net.Resolver takes a net.Pipe for TCP.
func (n *names) serve(conn net.Conn) {
	defer conn.Close()
	for {
		var size [2]byte
		if _, err := readFull(conn, size[:]); err != nil {
			return
		}
		query := make([]byte, binary.BigEndian.Uint16(size[:]))
		if _, err := readFull(conn, query); err != nil {
			return
		}
		answer := n.answer(query)
		if _, err := conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(answer))), answer...)); err != nil {
			return
		}
	}
}

func readFull(conn net.Conn, into []byte) (int, error) {
	for read := 0; read < len(into); {
		n, err := conn.Read(into[read:])
		if err != nil {
			return read, err
		}
		read += n
	}
	return len(into), nil
}

// answer knows one question of type A or AAAA and answers it with one address.
func (n *names) answer(query []byte) []byte {
	var labels []string
	at := 12
	for query[at] != 0 {
		labels = append(labels, string(query[at+1:at+1+int(query[at])]))
		at += 1 + int(query[at])
	}
	question := query[12 : at+5]
	kind := binary.BigEndian.Uint16(query[at+1:])
	data := n.next(strings.ToLower(strings.Join(labels, ".")), kind)
	head := append([]byte{}, query[:2]...)
	head = append(head, 0x81, 0x80, 0, 1, 0, byte(min(len(data), 1)), 0, 0, 0, 0)
	answer := append(head, question...)
	if len(data) > 0 {
		answer = append(answer, 0xc0, 12)
		answer = binary.BigEndian.AppendUint16(answer, kind)
		answer = append(answer, 0, 1, 0, 0, 0, 0, 0, byte(len(data)))
		answer = append(answer, data...)
	}
	return answer
}

func (n *names) next(name string, kind uint16) []byte {
	const typeA, typeAAAA = 1, 28
	n.mu.Lock()
	defer n.mu.Unlock()
	list := n.of[name]
	if len(list) == 0 {
		return nil
	}
	address := netip.MustParseAddr(list[0])
	if address.Is4() != (kind == typeA) || address.Is6() != (kind == typeAAAA) {
		return nil
	}
	n.lookups++
	if len(list) > 1 {
		n.of[name] = list[1:]
	}
	return address.AsSlice()
}
