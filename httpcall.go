package firjob

import "time"

// Headers that each HTTP call carries: the execution's id, which is also the
// idempotency key, the attempt's token and its number.
const (
	HeaderExecution      = "Firjob-Execution"
	HeaderToken          = "Firjob-Token"
	HeaderAttempt        = "Firjob-Attempt"
	HeaderIdempotencyKey = "Idempotency-Key"
)

// HTTPCall is a request that the server makes itself instead of sending a
// trigger to an executor. In URL, Headers and Body ${name} stands for a field of
// the task: id, idempotency_key, job, job_id, scheduled_at, attempt, token,
// params, or params.field for a field of the params; $$ is a dollar sign.
type HTTPCall struct {
	Method  string            `json:"method"` // POST by default
	URL     string            `json:"url"`    // absolute, http or https
	Headers map[string]string `json:"headers,omitempty"`
	Body    string            `json:"body,omitempty"`
	Expect  []int             `json:"expect,omitempty"` // the statuses that are a success; none = 200 to 299
	// of the request; 30 s by default. The job's timeout may end it before
	Timeout Duration `json:"timeout"`
	Sign    bool     `json:"sign"` // with the app's key, as triggers are
}

// Limits of an HTTP call.
const (
	MaxURL             = 2000 // bytes
	MaxHeaders         = 50
	MaxHeaderValue     = 4000 // bytes
	MaxCallBody        = MaxParams
	MaxExpect          = 50
	MaxCallTimeout     = time.Hour
	DefaultCallTimeout = 30 * time.Second
)
