package ports

// Status is what a server knows of the cluster.
type Status struct {
	Replica  string
	Replicas []string // live ones
	Degraded bool     // Redis is out of reach: claims come straight from Postgres
	Due      int64    // executions in the delay queue
	Leased   int64    // executions claimed and not ended, as the queue knows them
	Draining bool     // shutting down
}
