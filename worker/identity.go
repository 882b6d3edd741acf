package worker

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"strconv"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/clockfault"
)

// identify says who this executor is. It fails while the address to advertise
// depends on a name that cannot be looked up yet.
func (w *Worker) identify(ctx context.Context) (firjob.Executor, error) {
	if w.address.Load() == nil {
		address, err := w.advertised(ctx)
		if err != nil {
			return firjob.Executor{}, err
		}
		w.address.Store(&address)
	}
	return firjob.Executor{
		App:         w.opt.App,
		Address:     *w.address.Load(),
		Incarnation: w.incarnation,
		Version:     w.opt.Version,
		Labels:      w.opt.Labels,
		Capacity:    w.opt.Concurrency,
		Queue:       w.opt.Queue,
		StartedAt:   w.startedAt.Add(clockfault.Of(ctx).Offset).UTC(),
	}, nil
}

func (w *Worker) advertised(ctx context.Context) (string, error) {
	if w.opt.Advertise != "" {
		return w.opt.Advertise, nil
	}
	bound := w.listener.Addr().(*net.TCPAddr)
	if !bound.IP.IsUnspecified() {
		return bound.String(), nil
	}
	ip, err := outboundIP(ctx, w.opt.Server)
	if err != nil {
		return "", fmt.Errorf("find the address to advertise (or set Advertise): %w", err)
	}
	return net.JoinHostPort(ip.String(), strconv.Itoa(bound.Port)), nil
}

// outboundIP returns the local address from which server is reached. Connecting
// a UDP socket asks the routing table and sends nothing.
func outboundIP(ctx context.Context, server string) (net.IP, error) {
	u, err := url.Parse(server)
	if err != nil {
		return nil, err
	}
	port := u.Port()
	if port == "" {
		port = u.Scheme // "http" and "https" are names of ports, too
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, "udp", net.JoinHostPort(u.Hostname(), port))
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	return conn.LocalAddr().(*net.UDPAddr).IP, nil
}
