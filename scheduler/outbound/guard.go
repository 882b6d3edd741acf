package outbound

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"syscall"
)

// Allow is what may be reached although it is not public.
type Allow struct {
	Prefixes []netip.Prefix
	Hosts    []string // whatever they resolve to
}

// ParseAllow reads entries that are an address, a prefix such as 10.1.0.0/16,
// or a host name.
func ParseAllow(entries []string) (Allow, error) {
	var a Allow
	var faults []error
	for _, text := range entries {
		entry := strings.TrimSpace(text)
		prefix, err := netip.ParsePrefix(entry)
		address, addressErr := netip.ParseAddr(entry)
		switch {
		case entry == "":
		case err == nil:
			a.Prefixes = append(a.Prefixes, prefix.Masked())
		case addressErr == nil && address.Zone() == "":
			a.Prefixes = append(a.Prefixes, netip.PrefixFrom(address, address.BitLen()))
		case strings.ContainsAny(entry, "/:@*%") || addressErr == nil:
			faults = append(faults,
				fmt.Errorf("%q is not an address, a prefix such as 10.1.0.0/16 or a host name", entry))
		default:
			a.Hosts = append(a.Hosts, hostKey(entry))
		}
	}
	return a, errors.Join(faults...)
}

// hostKey is the form in which host names are compared.
func hostKey(host string) string { return strings.ToLower(strings.TrimSuffix(host, ".")) }

func (a Allow) host(host string) bool { return slices.Contains(a.Hosts, hostKey(host)) }

func (a Allow) address(address netip.Addr) bool {
	return slices.ContainsFunc(a.Prefixes, func(p netip.Prefix) bool { return p.Contains(address) })
}

// forbiddenError is the error of a connection that was not made.
type forbiddenError struct {
	address netip.Addr
	why     string
}

// Error says why, and what would allow it.
func (e *forbiddenError) Error() string {
	return fmt.Sprintf("%s is %s, which HTTP jobs may not reach unless FIRJOB_EGRESS_ALLOW names it", e.address, e.why)
}

type allowedHostKey struct{}

// dial connects to the host of a URL. What the guard judges is the address of
// the socket that is about to connect, so neither a name that resolves to
// something else the next time nor another way to write an address goes round it.
func (c *Caller) dial(ctx context.Context, network, hostPort string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(hostPort)
	if err != nil {
		return nil, err
	}
	if c.allow.host(host) {
		ctx = context.WithValue(ctx, allowedHostKey{}, true)
	}
	return c.dialer.DialContext(ctx, network, hostPort)
}

// control is asked for each socket after its address was resolved.
func (c *Caller) control(ctx context.Context, _, socketAddress string, _ syscall.RawConn) error {
	if ctx.Value(allowedHostKey{}) != nil {
		return nil
	}
	to, err := netip.ParseAddrPort(socketAddress)
	if err != nil {
		return fmt.Errorf("read the address %q: %w", socketAddress, err)
	}
	address := to.Addr().Unmap()
	if why := forbidden(address); why != "" && !c.allow.address(address) {
		return &forbiddenError{address, why}
	}
	return nil
}

// forbidden says what an address is that is not public, "" for one that is.
// IPv6 addresses that stand for an IPv4 address are what that one is.
func forbidden(address netip.Addr) string {
	address = address.Unmap()
	switch {
	case !address.IsValid():
		return "no address"
	case address.Zone() != "":
		return "an address with a zone"
	case address.IsLoopback():
		return "a loopback address"
	case address.IsUnspecified():
		return "an unspecified address"
	case address.IsPrivate():
		return "a private address"
	case address.IsLinkLocalUnicast():
		return "a link-local address"
	case address.IsMulticast():
		return "a multicast address"
	}
	for _, r := range reserved() {
		if !r.prefix.Contains(address) {
			continue
		}
		if r.embeds < 0 {
			return r.why
		}
		bytes := address.As16()
		if why := forbidden(netip.AddrFrom4([4]byte(bytes[r.embeds:]))); why != "" {
			return why + " in the form of " + r.why
		}
	}
	return ""
}

// reservedRange is a range that is not public, or one of whose addresses carry
// an IPv4 address.
type reservedRange struct {
	prefix netip.Prefix
	embeds int // where the IPv4 address stands, in bytes; below 0: nowhere
	why    string
}

// reserved is what the registries of special-purpose addresses (RFC 6890 and its
// successors) list beyond what net/netip knows by name, and what is public in name
// only.
func reserved() []reservedRange {
	none := func(prefix, why string) reservedRange { return reservedRange{netip.MustParsePrefix(prefix), -1, why} }
	at := func(prefix string, embeds int, why string) reservedRange {
		return reservedRange{netip.MustParsePrefix(prefix), embeds, why}
	}
	return []reservedRange{
		none("0.0.0.0/8", "an address of this network"),
		none("100.64.0.0/10", "a carrier's private address"),
		none("168.63.129.16/32", "the address of a cloud's own services"), // Azure's, which only its machines reach
		none("192.0.0.0/24", "a protocol's address"),
		none("192.0.2.0/24", "a documentation address"),
		none("192.88.99.0/24", "a relay's address"),
		none("198.18.0.0/15", "a benchmark's address"),
		none("198.51.100.0/24", "a documentation address"),
		none("203.0.113.0/24", "a documentation address"),
		none("240.0.0.0/4", "a reserved address"),

		at("::/96", 12, "an IPv4-compatible address"),
		at("::ffff:0:0:0/96", 12, "a translated address"),
		at("64:ff9b::/96", 12, "a NAT64 address"),
		none("64:ff9b:1::/48", "a local NAT64 address"),
		none("100::/64", "a discarded address"),
		none("2001::/23", "a protocol's address"), // Teredo and ORCHID among them
		none("2001:db8::/32", "a documentation address"),
		at("2002::/16", 2, "a 6to4 address"),
		none("3fff::/20", "a documentation address"),
		none("5f00::/16", "a segment routing address"),
		none("fec0::/10", "a site-local address"),
	}
}
