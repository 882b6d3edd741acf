package capacity

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"sort"
)

// Fill is a part of which there is one, and the rate at which it is full.
type Fill struct {
	Part  string  `json:"part"`
	Rate  float64 `json:"rate"`  // executions a second, the rest of the load as it is
	Share float64 `json:"share"` // used at the rate of the load
	Then  string  `json:"then"`  // what to do
}

// part is a part of which there is one, and the share of it that a load uses.
type part struct {
	name  string
	share func(*model) float64
	then  string
}

const redisPart = "Redis CPU, one primary"

// spread is what remains when one Postgres is full.
const spread = "more than one Postgres"

func (m *model) parts() []part {
	return []part{
		{redisPart, func(m *model) float64 { return m.rate * m.costs.CPU.Redis / 1e6 / m.Use },
			"Redis Cluster: more primaries, up to one for each shard"},
		{fmt.Sprintf("Postgres CPU, %d cores", m.Limits.Cores),
			func(m *model) float64 { return m.rate * m.costs.CPU.Postgres / 1e6 / m.Use / float64(m.Limits.Cores) },
			spread},
		{"Postgres WAL", func(m *model) float64 { return m.wal / float64(m.Limits.WAL) }, spread},
		{"Postgres network", func(m *model) float64 { return m.wire / float64(m.Limits.Network) },
			"a faster link; else " + spread},
		{"Postgres disk", func(m *model) float64 { return m.disk / float64(m.Limits.Disk) }, m.keepLess()},
	}
}

// keepLess says which retention one disk holds.
func (m *model) keepLess() string {
	left := float64(m.Limits.Disk) - m.disk + m.rate*(m.Retention.seconds()+wholeDay)*m.rowBytes()
	days := math.Floor(left/(m.rate*m.rowBytes()*wholeDay)) - 1
	if days < 1 {
		return spread + "; no retention of whole days fits"
	}
	return fmt.Sprintf("it holds %.0fd at this rate; beyond that %s", days, spread)
}

// fills lists what does not grow by a server or an executor more, the first to be
// full first.
func (m *model) fills() []Fill {
	var list []Fill
	for _, p := range m.parts() {
		list = append(list, Fill{Part: p.name, Rate: m.fullAt(p), Share: p.share(m), Then: p.then})
	}
	slices.SortStableFunc(list, func(a, b Fill) int { return cmp.Compare(a.Rate, b.Rate) })
	return list
}

// fullAt returns the highest whole rate that the part holds, the rest of the load
// being as it is: 0 if there is none, 1G if it has no end that matters.
func (m *model) fullAt(p part) float64 {
	over := sort.Search(mostRate, func(i int) bool {
		load := m.Load
		load.Rate = Count(i + 1)
		return p.share(modelOf(load, m.costs)) > 1
	})
	return float64(over)
}

// The topologies of Postgres.
const (
	OnePrimary  = "one primary"
	Standbys    = "primary and standbys"
	Distributed = "distributed Postgres"
)

// Topology is which Postgres to choose.
type Topology struct {
	Kind      string `json:"kind"`
	Primaries int    `json:"primaries"`
	Standbys  int    `json:"standbys"` // in all
	Why       string `json:"why"`
}

// standbys is how many each primary has: one more than may be lost, for a commit
// waits for one of them.
func (m *model) standbys() float64 {
	if m.Spare == 0 {
		return 0
	}
	return float64(m.Spare) + 1
}

// topology chooses the simplest that holds the load and the machines that may be
// lost.
func (m *model) topology(fills []Fill) Topology {
	var fullest Fill
	for _, f := range fills {
		if f.Share > fullest.Share && f.Part != redisPart {
			fullest = f
		}
	}
	t := Topology{Primaries: int(math.Max(1, math.Ceil(fullest.Share)))}
	t.Standbys = t.Primaries * int(m.standbys())
	switch {
	case t.Primaries > 1:
		t.Kind = Distributed
		t.Why = fmt.Sprintf("%s is full at %.0f executions/s. So many primaries are the least; what a statement "+
			"costs more that is spread is not in the model. "+
			"This release runs on one primary: with it, spread the apps over as many installations (docs/scaling.md)",
			fullest.Part, fullest.Rate)
	case m.Spare > 0:
		t.Kind = Standbys
		t.Why = "one machine holds the load; a commit waits for one of the standbys, any of them, and so outlives " +
			"the primary"
	default:
		t.Kind = OnePrimary
		t.Why = "one machine holds the load, and no machine is to be spared: what it loses is lost"
	}
	return t
}
