package capacity

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// PerComponent is one number for each of the components.
type PerComponent struct {
	Postgres  float64 `json:"postgres"`
	Redis     float64 `json:"redis"`
	Servers   float64 `json:"servers"`
	Executors float64 `json:"executors"`
}

// Costs are what one execution was measured to cost.
type Costs struct {
	Source string       `json:"source"`
	CPU    PerComponent `json:"cpu_us_per_execution"`
	// of one server and one executor; the stores' follow from the model
	RSS          PerComponent `json:"rss_mb"`
	Rate         float64      `json:"rate"`          // executions a second of each server when that was measured
	ExecutorRate float64      `json:"executor_rate"` // and of each executor
}

// measurement is the part of the benchmark's answer that the model reads.
type measurement struct {
	Bench      string             `json:"bench"`
	CPUSeconds map[string]float64 `json:"cpu_seconds"`
	RSSMB      map[string]float64 `json:"rss_mb"`
	Executions float64            `json:"executions"`
	Seconds    float64            `json:"seconds"`
	Lost       int64              `json:"lost"`
	Doubled    int64              `json:"doubled"`
	Early      int64              `json:"early"`
	Settings   struct {
		Servers float64 `json:"servers"`
		Workers float64 `json:"workers"`
	} `json:"settings"`
}

// ReadCosts reads what "firjob-lab bench throughput -o json" has written. source
// names it in the plan. It refuses a measurement that lacks a component, as with
// stores that the benchmark did not start, and one whose records did not hold.
func ReadCosts(r io.Reader, source string) (Costs, error) {
	dec := json.NewDecoder(r)
	var m measurement
	if err := dec.Decode(&m); err != nil {
		return Costs{}, fmt.Errorf("%s does not hold what \"firjob-lab bench throughput -o json\" writes: %w", source,
			err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return Costs{}, fmt.Errorf("%s holds more than one measurement", source)
	}
	if err := m.check(); err != nil {
		return Costs{}, fmt.Errorf("%s: %w", source, err)
	}
	us := func(group string) float64 { return m.CPUSeconds[group] * 1e6 / m.Executions }
	servers, workers := max(m.Settings.Servers, 1), max(m.Settings.Workers, 1)
	return Costs{
		Source: source,
		CPU: PerComponent{Postgres: us("postgres"), Redis: us("redis"), Servers: us("servers"),
			Executors: us("workers")},
		RSS:          PerComponent{Servers: m.RSSMB["servers"] / servers, Executors: m.RSSMB["workers"] / workers},
		Rate:         m.Executions / m.Seconds / servers,
		ExecutorRate: m.Executions / m.Seconds / workers,
	}, nil
}

func (m measurement) check() error {
	var lacks []string
	for _, group := range []string{"postgres", "redis", "servers", "workers"} {
		if m.CPUSeconds[group] <= 0 {
			lacks = append(lacks, "cpu_seconds."+group)
		}
	}
	for _, group := range []string{"servers", "workers"} {
		if m.RSSMB[group] <= 0 {
			lacks = append(lacks, "rss_mb."+group)
		}
	}
	switch {
	case m.Bench != "" && m.Bench != "throughput":
		return fmt.Errorf("it is of the benchmark %q; want throughput", m.Bench)
	case m.Executions <= 0 || m.Seconds <= 0:
		return errors.New("it has no executions or no seconds")
	case len(lacks) > 0:
		return fmt.Errorf("it lacks %s: measure with stores that the benchmark starts itself, on Linux",
			strings.Join(lacks, ", "))
	case m.Lost > 0 || m.Doubled > 0 || m.Early > 0:
		return fmt.Errorf("its records do not hold: %d lost, %d doubled, %d early", m.Lost, m.Doubled, m.Early)
	}
	return nil
}
