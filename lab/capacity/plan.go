package capacity

import (
	"math"
	"math/bits"
	"time"
)

// Plan is what a load needs.
type Plan struct {
	Load     Load     `json:"load"`
	Costs    Costs    `json:"costs"`
	Lines    []Line   `json:"lines"`
	Fills    []Fill   `json:"fills"`
	Topology Topology `json:"topology"`
}

// Line is one number of a plan.
type Line struct {
	Part  string  `json:"part"` // postgres, redis, servers, executors, network
	Name  string  `json:"name"` // with Part, unique
	Value float64 `json:"value"`
	Unit  string  `json:"unit"`
	From  string  `json:"from"` // the formula, and where its numbers come from
}

// Make plans a load. It validates the load first.
func Make(load Load, costs Costs) (Plan, error) {
	if err := load.Validate(); err != nil {
		return Plan{}, err
	}
	m := modelOf(load, costs)
	fills := m.fills()
	return Plan{Load: load, Costs: costs, Lines: m.lines, Fills: fills, Topology: m.topology(fills)}, nil
}

// modelOf works a load out.
func modelOf(load Load, costs Costs) *model {
	m := &model{Load: load, costs: costs, rate: float64(load.Rate)}
	m.advances = math.Min(m.rate, float64(load.Jobs)/load.ScanInterval.seconds())
	m.holds = holdsOf(load)
	m.stateless()
	m.redis()
	m.postgres()
	m.network()
	return m
}

// model holds what several lines need.
type model struct {
	Load
	costs Costs
	lines []Line

	rate      float64
	advances  float64 // jobs a second that plans move on
	holds     float64 // writes of beats to one execution
	servers   float64
	executors float64
	primaries float64 // of Redis
	wal, wire float64 // bytes a second of Postgres
	disk      float64 // bytes
}

// add notes a line and returns its value.
func (m *model) add(part, name string, value float64, unit, from string) float64 {
	m.lines = append(m.lines, Line{part, name, value, unit, from})
	return value
}

// cores is the number of cores that µs of each execution keep busy.
func (m *model) cores(part string, us float64) float64 {
	return m.add(part, "cores", m.rate*us/1e6/m.Use, "cores", "rate × CPU of one execution ÷ use; CPU measured")
}

// beat is how often executors name what they hold, firjob.BeatInterval.
const beat = time.Second

// holdsOf is how often beats write one execution: when one first names it, and
// each time when a third of its lease has passed.
func holdsOf(l Load) float64 {
	run, renewal := l.HandlerTime.seconds(), math.Ceil(l.Lease.seconds()/3/beat.Seconds())*beat.Seconds()
	return math.Min(1, run/beat.Seconds()) + math.Max(0, run-beat.Seconds())/renewal
}

func (m *model) stateless() {
	cores := m.cores("servers", m.costs.CPU.Servers)
	need := math.Max(math.Ceil(cores/float64(m.ServerCores)), math.Ceil(m.rate*leadSeconds/flights))
	m.servers = m.add("servers", "number", need+float64(m.Spare), "",
		"cores ÷ cores of one, at least rate × lead ÷ maxFlights (scheduler/fire.go); + spare")
	m.add("servers", "memory each", m.memory(m.costs.RSS.Servers, need, m.costs.Rate), "B",
		"memory of one, measured, × its rate ÷ the rate then, not less than measured")

	slots := float64(executorPool * m.ExecutorCores)
	busy := m.add("executors", "handlers at a time", math.Ceil(m.rate*m.HandlerTime.seconds()), "",
		"rate × handler time (Little's law)")
	cores = m.cores("executors", m.costs.CPU.Executors+m.HandlerCPU.seconds()*1e6)
	need = math.Max(1, math.Max(math.Ceil(cores/float64(m.ExecutorCores)), math.Ceil(busy/m.Use/slots)))
	m.executors = m.add("executors", "number", need+float64(m.Spare), "",
		"the more of cores ÷ cores of one and handlers ÷ use ÷ FIRJOB_CONCURRENCY (32 × cores); + spare")
	m.add("executors", "memory each", m.memory(m.costs.RSS.Executors, need, m.costs.ExecutorRate), "B",
		"as for servers; the handlers' own comes on top")
}

// memory is that of one process of n that share the rate; measured at the rate then.
func (m *model) memory(measuredMB, n, then float64) float64 {
	return measuredMB * (1 << 20) * math.Max(1, m.rate/n/then)
}

func (m *model) redis() {
	cores := m.cores("redis", m.costs.CPU.Redis)
	m.primaries = m.add("redis", "primaries", math.Ceil(cores), "", "a primary runs commands on one core")
	m.add("redis", "replicas", m.primaries*float64(m.Spare), "", "spare for each primary")
	m.add("redis", "memory", m.rate*m.Horizon.seconds()*redisMemory, "B",
		"rate × horizon × bytes of an id, measured; over all primaries; leave as much again")
	m.add("redis", "member operations", m.rate*redisMembers, "/s",
		"rate × 5: ZADD, ZREM to announce; ZREM, ZADD to claim; ZREM to acknowledge (lua/)")
	m.add("redis", "shards", m.shards(), "",
		"FIRJOB_SHARDS: 8 for each server and primary, rounded up to a power of two, 8 to 1024")
}

func (m *model) shards() float64 {
	want := uint(perUnit * math.Max(m.servers, m.primaries))
	return math.Min(mostShards, math.Max(leastShards, float64(uint(1)<<bits.Len(want-1))))
}

func (m *model) postgres() {
	m.cores("postgres", m.costs.CPU.Postgres)
	m.add("postgres", "rows written", m.rate*(rowWrites+m.holds)+m.advances, "/s",
		"rate × (insert, claim, finish + beats that write) + jobs moved on: the less of rate and jobs ÷ scan interval")
	rowWAL := walInsert + walClaim + walFinish + m.holds*walHold + float64(m.Result)*walResult
	m.wal = m.add("postgres", "WAL", m.rate*rowWAL+m.advances*walAdvance+m.fullPages(), "B/s",
		"rate × bytes by step + jobs moved on × bytes, both measured; + full pages after each checkpoint (5 min)")
	maxWAL := m.add("postgres", "max_wal_size", 2*checkpoint*m.wal, "B",
		"WAL of two checkpoint_timeouts, so that time alone begins them")
	m.disk = m.add("postgres", "disk", m.rate*(m.Retention.seconds()+wholeDay)*m.rowBytes()+m.jobBytes()+maxWAL, "B",
		"rate × (retention + 1 day) × bytes of table and indexes, measured; + jobs + max_wal_size; no logs")
	conns := m.add("postgres", "connections", m.servers*serverConns, "", "servers × FIRJOB_DATABASE_CONNS (16)")
	hot := m.rate*(m.Horizon.seconds()+m.HandlerTime.seconds()+m.ScanInterval.seconds())*m.rowBytes() + m.jobBytes()
	m.add("postgres", "shared_buffers", hot, "B",
		"what is open: rate × (horizon + handler time + scan interval) × bytes; + all jobs")
	m.add("postgres", "memory", math.Max(leastMemory, 2*hot+conns*connectionBytes), "B",
		"2 × shared_buffers + 10 MB a connection (assumed), at least 1 GB")
}

func (m *model) rowBytes() float64 { return tableBytes + indexBytes + float64(m.Result)*tableResult }

func (m *model) jobBytes() float64 { return float64(m.Jobs) * (jobBytes + float64(m.Params)) }

// fullPages are the bytes a second of pages that are written whole: of the
// executions that were planned before a checkpoint and changed after it, and of
// the jobs, as if none shared a page, but no more than all there are.
func (m *model) fullPages() float64 {
	executions := m.rate * m.rowBytes() * math.Min(1, m.Horizon.seconds()/checkpoint)
	jobs := math.Min(m.advances*walSeldom, m.jobBytes()/checkpoint)
	return executions + jobs
}

func (m *model) network() {
	result, params := float64(m.Result), float64(m.Params)
	own := m.rate*(wireInsert+wireClaim+wireFinish+m.holds*wireHold+params+result) + m.advances*(wireAdvance+params)
	m.wire = m.add("network", "Postgres primary", own+m.standbys()*m.wal, "B/s",
		"bytes by step, measured, + payload + result; + WAL to each standby")
	m.add("network", "Redis", m.rate*redisWire, "B/s", "rate × bytes, measured")
	m.add("network", "servers to executors", m.rate*(triggerJSON+params), "B/s", "rate × (JSON of a trigger + payload)")
	m.add("network", "executors to servers",
		m.rate*(resultJSON+result+attemptJSON*m.HandlerTime.seconds()/beat.Seconds()), "B/s",
		"rate × (JSON of a result + result + its name in each beat)")
}
