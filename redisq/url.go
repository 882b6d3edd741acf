package redisq

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// Timing and size of the connection. A second is long for Redis and short for
// the degraded mode, which begins where it ends.
const (
	timeout  = time.Second
	poolSize = 8
)

// parseURL reads the address of Redis. Its errors never quote the URL, whose
// password may stand anywhere in one that is malformed.
//
//	redis://user:pass@host:6379/0                  one server
//	rediss://…                                     the same over TLS
//	redis+sentinel://user:pass@h1:26379,h2/0?master=name
//	redis+cluster://user:pass@h1:6379,h2:6379
//
// The last two speak TLS with "tls=true". User and password are those of the
// servers; sentinels are asked without.
func parseURL(text string) (*redis.UniversalOptions, error) {
	scheme, rest, ok := strings.Cut(text, "://")
	if !ok {
		return nil, errors.New(`the Redis URL has no scheme: want "redis://host:6379/0"`)
	}
	if end := strings.IndexAny(rest, "/?"); end >= 0 && strings.Contains(rest[end:], "@") {
		return nil, errPassword
	}
	rest, rawQuery, _ := strings.Cut(rest, "?")
	authority, path, _ := strings.Cut(rest, "/")

	o := baseOptions()
	hosts := authority
	if at := strings.LastIndexByte(authority, '@'); at >= 0 {
		hosts = authority[at+1:]
		if err := readUser(o, authority[:at]); err != nil {
			return nil, err
		}
	}
	query, err := url.ParseQuery(rawQuery)
	if err != nil {
		return nil, errors.New("the Redis URL has a malformed query")
	}
	if err := readScheme(o, scheme, query); err != nil {
		return nil, err
	}
	if err := readHosts(o, scheme, hosts); err != nil {
		return nil, err
	}
	return o, readDB(o, path)
}

var errPassword = errors.New("the Redis URL has a character in its user or password that must be percent-encoded: " +
	"write / as %2F, # as %23, ? as %3F, @ as %40, : as %3A, % as %25")

func baseOptions() *redis.UniversalOptions {
	return &redis.UniversalOptions{
		ClientName:            "firjob",
		DialTimeout:           timeout,
		DialerRetries:         1,
		ReadTimeout:           timeout,
		WriteTimeout:          timeout,
		PoolTimeout:           timeout,
		PoolSize:              poolSize,
		PipelinePoolSize:      -1, // none besides: nearly everything here is a pipeline
		ContextTimeoutEnabled: true,
		// A claim whose reply was lost must not run again under the hood: what
		// the first one moved would wait for its lease to end.
		// In a cluster one redirection is enough for a slot that has moved; the
		// driver takes it for a retry, too.
		MaxRetries:      -1,
		MaxRedirects:    1,
		DisableIdentity: true,
		MaintNotificationsConfig: &maintnotifications.Config{
			Mode: maintnotifications.ModeDisabled,
		},
	}
}

func readUser(o *redis.UniversalOptions, userinfo string) error {
	user, password, _ := strings.Cut(userinfo, ":")
	var errs [2]error
	o.Username, errs[0] = url.PathUnescape(user)
	o.Password, errs[1] = url.PathUnescape(password)
	if errs[0] != nil || errs[1] != nil {
		return errors.New("the Redis URL has a user or password with a bad %-escape; write % as %25")
	}
	return nil
}

func readScheme(o *redis.UniversalOptions, scheme string, query url.Values) error {
	secure := scheme == "rediss"
	known := map[string]bool{}
	switch scheme {
	case "redis", "rediss":
	case "redis+sentinel":
		known["master"], known["tls"] = true, true
		if o.MasterName = query.Get("master"); o.MasterName == "" {
			return errors.New(`a redis+sentinel URL names its master: "?master=name"`)
		}
	case "redis+cluster":
		known["tls"] = true
		o.IsClusterMode = true
	default:
		return errors.New("the Redis URL's scheme is not one of redis, rediss, redis+sentinel, redis+cluster")
	}
	for name := range query {
		if !known[name] {
			return fmt.Errorf("a %s URL takes no parameter %q", scheme, name)
		}
	}
	if secure || query.Get("tls") == "true" {
		o.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	return nil
}

func readHosts(o *redis.UniversalOptions, scheme, hosts string) error {
	port := "6379"
	if scheme == "redis+sentinel" {
		port = "26379"
	}
	for host := range strings.SplitSeq(hosts, ",") {
		address, err := hostPort(host, port)
		if err != nil {
			return err
		}
		o.Addrs = append(o.Addrs, address)
	}
	if len(o.Addrs) > 1 && (scheme == "redis" || scheme == "rediss") {
		return fmt.Errorf("a %s URL has one host; for several use redis+cluster or redis+sentinel", scheme)
	}
	return nil
}

// hostPort completes a host with the port. It goes through a URL of its own
// because that knows the brackets of IPv6.
func hostPort(host, port string) (string, error) {
	u, err := url.Parse("//" + host)
	if err != nil || u.Host == "" || u.User != nil {
		return "", errors.New(
			"the Redis URL has a host that is not host:port (is a / or @ in the password? write it as %2F or %40)")
	}
	if u.Port() != "" {
		port = u.Port()
	}
	return net.JoinHostPort(u.Hostname(), port), nil
}

func readDB(o *redis.UniversalOptions, path string) error {
	if path == "" {
		return nil
	}
	db, err := strconv.Atoi(path)
	if err != nil || db < 0 {
		return errors.New("the Redis URL's path is not the number of a database")
	}
	if db != 0 && o.IsClusterMode {
		return errors.New("a Redis cluster has database 0 only")
	}
	o.DB = db
	return nil
}
