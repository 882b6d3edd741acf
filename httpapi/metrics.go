package httpapi

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// requestMetrics measures requests.
type requestMetrics struct {
	duration *prometheus.HistogramVec
}

func newRequestMetrics(r prometheus.Registerer) *requestMetrics {
	m := &requestMetrics{prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "firjob_http_request_duration_seconds",
		Help:    "Time from a request's headers to the end of its answer, by route pattern and class of status.",
		Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
	}, []string{"method", "route", "class"})}
	r.MustRegister(m.duration)
	return m
}

func (m *requestMetrics) observe(method, route string, status int, took time.Duration) {
	m.duration.WithLabelValues(knownMethod(method), route, strconv.Itoa(status/100)+"xx").Observe(took.Seconds())
}

// knownMethod bounds the label: a client may send any word as its method.
func knownMethod(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete:
		return method
	}
	return "other"
}
