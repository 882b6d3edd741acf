package dispatch_test

import (
	"bufio"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/firjob/firjob"
)

// fickle is an executor that answers one request, reads a second one on the same
// connection, and closes that without an answer. net/http then sends the second
// request again on a new connection.
type fickle struct {
	net.Listener
	after func(f *fickle) // runs between reading the second request and closing
}

func (f *fickle) serve(t *testing.T, done chan<- struct{}) {
	defer close(done)
	conn, err := f.Accept()
	if err != nil {
		t.Error(err)
		return
	}
	defer conn.Close()
	in := bufio.NewReader(conn)
	readRequest(t, in)
	_, _ = io.WriteString(conn, answer(http.StatusOK, accepted))
	readRequest(t, in)
	f.after(f)
}

const accepted = `{"incarnation":"one","results":["accepted"]}`

// answerOnce answers the next connection's request.
func (f *fickle) answerOnce(t *testing.T, status int, body string) {
	conn, err := f.Accept()
	if err != nil {
		t.Error(err)
		return
	}
	defer conn.Close()
	readRequest(t, bufio.NewReader(conn))
	_, _ = io.WriteString(conn, answer(status, body))
}

func readRequest(t *testing.T, in *bufio.Reader) {
	r, err := http.ReadRequest(in)
	if err != nil {
		t.Error(err)
		return
	}
	if err := json.NewDecoder(r.Body).Decode(new(firjob.TriggerBatch)); err != nil {
		t.Error(err)
	}
	_, _ = io.Copy(io.Discard, r.Body)
}

func answer(status int, body string) string {
	var text strings.Builder
	_ = (&http.Response{StatusCode: status, ProtoMajor: 1, ProtoMinor: 1, ContentLength: int64(len(body)),
		Body: io.NopCloser(strings.NewReader(body))}).Write(&text)
	return text.String()
}

// When net/http sends a request again, nothing that befalls the repeat says that
// the first copy did not run.
func TestARequestThatWasReadIsNeverARefusal(t *testing.T) {
	t.Parallel()
	status := func(code int) func(*testing.T, *fickle) {
		return func(t *testing.T, f *fickle) { f.answerOnce(t, code, "") }
	}
	for name, c := range map[string]struct {
		repeat   func(*testing.T, *fickle) // what befalls it
		accepted bool
	}{
		"nobody listens any more":       {nil, false},
		"another process has its place": {status(http.StatusMisdirectedRequest), false},
		"another program has its place": {status(http.StatusNotFound), false},
		"it is shutting down":           {status(http.StatusServiceUnavailable), false},
		"the same process answers":      {func(t *testing.T, f *fickle) { f.answerOnce(t, http.StatusOK, accepted) }, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer listener.Close()
			repeated := make(chan struct{})
			f := &fickle{listener, func(f *fickle) {
				if c.repeat == nil {
					f.Close()
					close(repeated)
					return
				}
				go func() { defer close(repeated); c.repeat(t, f) }()
			}}
			first := make(chan struct{})
			go f.serve(t, first)
			s, to := newSender(t), executorAt(listener.Addr().String())
			if _, err := s.Send(t.Context(), to, key, time.Now(), []firjob.Trigger{trigger}); err != nil {
				t.Fatal(err)
			}
			_, err = s.Send(t.Context(), to, key, time.Now(), []firjob.Trigger{trigger})
			if refused(err) || (err == nil) != c.accepted {
				t.Errorf("Send = %v; want accepted %v, and no refusal", err, c.accepted)
			}
			<-first
			<-repeated
		})
	}
}
