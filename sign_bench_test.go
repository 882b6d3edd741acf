package firjob_test

import (
	"bytes"
	"net/http"
	"testing"
	"time"

	"github.com/firjob/firjob"
)

// A batch of triggers is signed once, and verified once.
func BenchmarkSignAndVerify(b *testing.B) {
	key := firjob.SigningKey("a secret of thirty-two characters")
	body := bytes.Repeat([]byte(`{"id":"019aaa00-0000-8000-8000-00000000002a","token":4711}`), firjob.MaxBatch)
	now := time.Now()
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		header := http.Header{}
		firjob.Sign(header, key, "request", now, body)
		if err := firjob.VerifySignature(header, key, now, body); err != nil {
			b.Fatal(err)
		}
	}
}
